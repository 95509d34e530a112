import { z } from "zod";
import { commonFields, flag, optionalInteger, optionalIntegers, optionalTexts } from "./body-fields.ts";

export const JobsQueueBody = z.object({
  ...commonFields,
  refresh: flag(false),
  skip_finished: flag(false),
  all_users: flag(false),
  job_ids: optionalIntegers,
  statuses: optionalTexts,
  fields: optionalTexts,
  page: optionalInteger,
  limit: optionalInteger,
});
export type JobsQueueBody = z.infer<typeof JobsQueueBody>;

export const JobsQueueResult = z.object({
  jobs: z.array(z.record(z.string(), z.unknown())),
  total: z.int(),
  total_no_filter: z.int(),
  status_counts: z.record(z.string(), z.int()),
  infra_options: z.array(z.string()),
});
export type JobsQueueResult = z.infer<typeof JobsQueueResult>;

export const PoolStatusBody = z.object({ ...commonFields, pool_names: optionalTexts });
export type PoolStatusBody = z.infer<typeof PoolStatusBody>;
