import { z } from "zod";
import { commonFields, flag } from "./body-fields.ts";

export const QueueBody = z.object({
  ...commonFields,
  cluster_name: z.string(),
  skip_finished: flag(false),
  all_users: flag(false),
});
export type QueueBody = z.infer<typeof QueueBody>;

/** One element of the `queue` result. Times are seconds since the epoch. */
export const ClusterJobRecord = z.object({
  job_id: z.int(),
  job_name: z.string(),
  username: z.string(),
  user_hash: z.string(),
  submitted_at: z.number(),
  start_at: z.number().nullable(),
  end_at: z.number().nullable(),
  resources: z.string(),
  status: z.enum([
    "INIT",
    "PENDING",
    "SETTING_UP",
    "RUNNING",
    "FAILED_DRIVER",
    "SUCCEEDED",
    "FAILED",
    "FAILED_SETUP",
    "CANCELLED",
  ]),
  log_path: z.string(),
  metadata: z.record(z.string(), z.unknown()),
  links: z.record(z.string(), z.string()),
});
export type ClusterJobRecord = z.infer<typeof ClusterJobRecord>;
