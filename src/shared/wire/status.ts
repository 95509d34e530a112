import { z } from "zod";
import { commonFields, flag, optionalTexts } from "./body-fields.ts";
import { WireCredentials, WireHandle } from "./handle.ts";

export const StatusBody = z.object({
  ...commonFields,
  /** Names or globs; absent = all. */
  cluster_names: optionalTexts,
  refresh: z
    .enum(["NONE", "AUTO", "FORCE"])
    .nullish()
    .transform((given) => given ?? "NONE"),
  all_users: flag(true),
  include_credentials: flag(true),
  summary_response: flag(false),
  include_handle: flag(true),
  /** Also what each cluster costs; an addition of ours. */
  include_costs: flag(false),
});
export type StatusBody = z.infer<typeof StatusBody>;

export const ClusterStatus = z.enum(["INIT", "UP", "STOPPED", "AUTOSTOPPING", "PENDING"]);

const text = z.string().optional();

/** One element of the `status` result. An absent optional field is null for the client. */
export const StatusRecord = z.object({
  name: z.string(),
  /** Seconds since the epoch. */
  launched_at: z.int(),
  status: ClusterStatus,
  /** Idle minutes; -1 = off. */
  autostop: z.int(),
  to_down: z.boolean(),
  cluster_hash: z.string(),
  cluster_ever_up: z.boolean(),
  user_hash: z.string(),
  user_name: z.string(),
  workspace: z.string(),
  nodes: z.int(),
  handle: WireHandle.nullable().optional(),
  last_use: text,
  owner: z.array(z.string()).optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
  status_updated_at: z.int().optional(),
  config_hash: text,
  last_creation_yaml: text,
  last_creation_command: text,
  is_managed: z.boolean().optional(),
  last_event: text,
  init_kind: z.enum(["launching", "unhealthy"]).optional(),
  init_status_reason: text,
  resources_str: text,
  resources_str_full: text,
  credentials: WireCredentials.optional(),
  cloud: text,
  region: text,
  cpus: text,
  memory: text,
  accelerators: text,
  labels: z.record(z.string(), z.string()).optional(),
  cluster_name_on_cloud: text,
  node_names: text,
  priority: z.int().optional(),
  priority_class: text,
  links: z.record(z.string(), z.string()).optional(),
  storage_mounts_metadata: text,
  cost_per_hour: z.number().nullable().optional(),
  total_cost: z.number().optional(),
});
export type StatusRecord = z.infer<typeof StatusRecord>;
