import { z } from "zod";
import { commonFields, flag, optionalInteger, optionalText } from "./body-fields.ts";

export const ClusterEventsBody = z.object({
  ...commonFields,
  cluster_name: optionalText,
  cluster_hash: optionalText,
  /** STATUS_CHANGE, DEBUG, LAUNCH_PROGRESS, or a comma list of them. */
  event_type: z.string(),
  include_timestamps: flag(false),
  limit: optionalInteger,
});
export type ClusterEventsBody = z.infer<typeof ClusterEventsBody>;
