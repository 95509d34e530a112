import { z } from "zod";
import { commonFields, flag, optionalInteger } from "./body-fields.ts";

export const StopBody = z.object({
  ...commonFields,
  cluster_name: z.string(),
  purge: flag(false),
  graceful: flag(false),
  graceful_timeout: optionalInteger,
});
export type StopBody = z.infer<typeof StopBody>;
