import { z } from "zod";
import { commonFields, flag, optionalInteger, optionalText } from "./body-fields.ts";

/** What counts as activity. */
export const waitFor = z
  .enum(["jobs_and_ssh", "jobs", "none"])
  .nullish()
  .transform((given) => given ?? undefined);

export const AutostopBody = z.object({
  ...commonFields,
  cluster_name: z.string(),
  /** Negative = cancel. */
  idle_minutes: z.int(),
  wait_for: waitFor,
  down: flag(false),
  hook: optionalText,
  hook_timeout: optionalInteger,
});
export type AutostopBody = z.infer<typeof AutostopBody>;
