import { z } from "zod";
import { commonFields, optionalIntegers } from "./body-fields.ts";

export const JobStatusBody = z.object({
  ...commonFields,
  cluster_name: z.string(),
  /** Absent = the latest job. */
  job_ids: optionalIntegers,
});
export type JobStatusBody = z.infer<typeof JobStatusBody>;

/** Job id (as text) to status; null = no such job. */
export const JobStatusResult = z.record(z.string(), z.string().nullable());
export type JobStatusResult = z.infer<typeof JobStatusResult>;
