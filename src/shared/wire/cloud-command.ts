import { z } from "zod";
import { commonFields } from "./body-fields.ts";

/** Runs a command that only one cloud has; `args` and the answer are that command's own. */
export const CloudCommandBody = z.object({
  ...commonFields,
  cloud: z.string(),
  command: z.string(),
  args: z.record(z.string(), z.unknown()).default({}),
});
export type CloudCommandBody = z.infer<typeof CloudCommandBody>;
