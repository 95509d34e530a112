import { z } from "zod";
import { commonFields, flag, integer, optionalInteger } from "./body-fields.ts";

export const LogsBody = z.object({
  ...commonFields,
  cluster_name: z.string(),
  /** Absent = the latest job. */
  job_id: optionalInteger,
  follow: flag(true),
  /** Last N lines; 0 = all. */
  tail: integer(0),
  /** Ours: byte of run.log to start at; -1 = where the stream would start anyway (docs/wire-extensions.md). */
  log_offset: z
    .int()
    .min(-1)
    .nullish()
    .transform((given) => given ?? undefined),
});
export type LogsBody = z.infer<typeof LogsBody>;
