import { z } from "zod";
import { commonFields, flag, optionalText } from "./body-fields.ts";

export const ExecBody = z.object({
  ...commonFields,
  task: z.string(),
  cluster_name: z.string(),
  dryrun: flag(false),
  down: flag(false),
  backend: optionalText,
  include_credentials: flag(false),
});
export type ExecBody = z.infer<typeof ExecBody>;
