import { z } from "zod";
import { commonFields, flag, integer, optionalTexts } from "./body-fields.ts";
import { WireResources } from "./handle.ts";

export const CostReportBody = z.object({
  ...commonFields,
  days: integer(30),
  cluster_hashes: optionalTexts,
  cluster_names: optionalTexts,
  dashboard_summary_response: flag(false),
  exclude_managed_clusters: flag(false),
});
export type CostReportBody = z.infer<typeof CostReportBody>;

/** One element of the `cost_report` result. Times are seconds since the epoch, costs USD. */
export const CostRecord = z.object({
  name: z.string(),
  launched_at: z.int(),
  duration: z.number(),
  last_use: z.string().nullable(),
  num_nodes: z.int(),
  resources: WireResources,
  cluster_hash: z.string(),
  usage_intervals: z.array(z.tuple([z.int(), z.int().nullable()])),
  total_cost: z.number(),
  status: z.string().nullable(),
  user_hash: z.string(),
  user_name: z.string(),
  workspace: z.string(),
  cloud: z.string(),
  region: z.string(),
  cpus: z.string().nullable(),
  memory: z.string().nullable(),
  accelerators: z.string().nullable(),
  resources_str: z.string(),
  resources_str_full: z.string(),
  /** Ours. */
  cost_per_hour: z.number().nullable().optional(),
  cost_details: z
    .object({ instances: z.number(), disks: z.number(), ips: z.number(), is_complete: z.boolean() })
    .optional(),
  labels: z.record(z.string(), z.string()).optional(),
});
export type CostRecord = z.infer<typeof CostRecord>;
