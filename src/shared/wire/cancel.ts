import { z } from "zod";
import { commonFields, flag, optionalIntegers } from "./body-fields.ts";

export const CancelBody = z.object({
  ...commonFields,
  cluster_name: z.string(),
  /** Absent and `all` false = the latest running job. */
  job_ids: optionalIntegers,
  all: flag(false),
  all_users: flag(false),
  try_cancel_if_cluster_is_init: flag(false),
});
export type CancelBody = z.infer<typeof CancelBody>;
