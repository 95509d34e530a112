import type { Generated } from "kysely";

/** Row types of every table. Times are integer milliseconds since the epoch; JSON columns are text. Checked against the migrated database by a test. */

export interface RequestsTable {
  request_id: string;
  /** Operation, e.g. `clusters.launch`. */
  operation: string;
  /** Wire name, e.g. `sky.launch`. */
  name: string;
  status: "PENDING" | "WAITING" | "RUNNING" | "SUCCEEDED" | "FAILED" | "CANCELLED";
  schedule_type: "long" | "short";
  user_id: string;
  user_name: string;
  cluster_name: string | null;
  /** The body for display: secrets and env values redacted. */
  body: string;
  /** The whole body, sealed with the server's key; null once the request is terminal. */
  sealed_body: string | null;
  return_value: string | null;
  /** Names a row of request_values that holds the result instead. */
  return_hash: Generated<string | null>;
  /** `{"type","message","args","attributes","hint","code"}` or null. */
  error: string | null;
  status_msg: string | null;
  /** 1 when an interruption by the server ended it and repeating it is safe. */
  should_retry: Generated<number>;
  file_mounts_blob_id: string | null;
  created_at: number;
  finished_at: number | null;
  lease_owner: string | null;
  lease_token: number;
  lease_expires_at: number | null;
  /** Set by cancel; the executor that holds the lease aborts the operation. */
  cancel_requested: number;
  /** How often the operation was begun. */
  attempts: number;
}

/** Large results, stored once however many requests have them. */
export interface RequestValuesTable {
  /** SHA-256 of the value, in hex. */
  hash: string;
  value: string;
  created_at: number;
}

/** Grows with every change of a table; kept by triggers. */
export interface TableVersionsTable {
  name: string;
  version: number;
}

/** The journal behind `effect()`. */
export interface EffectsTable {
  request_id: string;
  name: string;
  token: string;
  state: "intent" | "done";
  result: string | null;
  started_at: number;
  finished_at: number | null;
}

export interface ClustersTable {
  name: string;
  cluster_hash: string;
  name_on_cloud: string;
  cloud: string;
  region: string;
  zone: string | null;
  status: "INIT" | "UP" | "STOPPED" | "AUTOSTOPPING" | "PENDING";
  /** Finer than the status: provisioning | runtime_setup | ready | degraded | unreachable | stopping | terminating. */
  phase: string;
  num_nodes: number;
  /** JSON: the chosen offer (core/ports/cloud.ts `Offer`). */
  offer: string;
  /** JSON: NodeResources that each node holds. */
  per_node: string;
  /** JSON list of instances as last seen (core/ports/cloud.ts `Instance`). */
  instances: string;
  /** JSON: the task's requested resources in YAML form, for display and reuse checks. */
  requested_resources: string;
  ports: string;
  labels: string;
  launched_at: number;
  last_use: string | null;
  status_updated_at: number;
  /** Idle minutes; -1 = off. */
  autostop: number;
  to_down: number;
  wait_for: string;
  owner: string | null;
  user_hash: string;
  user_name: string;
  workspace: string;
  cluster_ever_up: number;
  last_creation_yaml: string | null;
  last_creation_command: string | null;
  provision_log_path: string | null;
  is_managed: number;
  config_hash: string | null;
  last_event: string | null;
  /** USD per hour of one node, frozen at launch; null = unknown. */
  price_usd_per_hour: number | null;
  /** JSON of the ClusterSecret that the server keeps in a 0600 file: only its path. */
  secret_path: string | null;
  /** Request that works on the cluster at this moment. */
  busy_request: string | null;
  /** JSON: what the task asked of each node besides its size (core/ports/cloud.ts `NodeWish`, without keys). */
  node_wish: Generated<string>;
}

/** Who works on a cluster among servers that share the database; absent rows are free. */
export interface ClusterLocksTable {
  name: string;
  /** The request. */
  holder: string;
  /** The server. */
  owner: string;
  expires_at: number;
}

export interface ClusterHistoryTable {
  cluster_hash: string;
  name: string;
  num_nodes: number;
  cloud: string;
  region: string;
  zone: string | null;
  offer: string;
  requested_resources: string;
  /** JSON list of [start ms, end ms | null]. */
  usage_intervals: string;
  user_hash: string;
  user_name: string;
  workspace: string;
  launched_at: number;
  last_activity_time: number | null;
  last_creation_yaml: string | null;
  last_creation_command: string | null;
  provision_log_path: string | null;
  is_managed: number;
  price_usd_per_hour: number | null;
  /** JSON map. */
  labels: Generated<string>;
}

/** What a cluster costs, in periods with constant rates; rates are USD per hour for all nodes, null = unknown. */
export interface ClusterChargesTable {
  id: Generated<number>;
  cluster_hash: string;
  /** Only disks are paid for while it is stopped. */
  state: "running" | "stopped";
  started_at: number;
  /** Null = it goes on. */
  ended_at: number | null;
  instances_usd_per_hour: number | null;
  disks_usd_per_hour: number | null;
  ips_usd_per_hour: number | null;
}

export interface BudgetsTable {
  name: string;
  scope: "all" | "user" | "workspace" | "label";
  /** User name, workspace, or `key=value`; empty for `all`. */
  scope_value: string;
  limit_usd: number;
  period: "day" | "week" | "month" | "total";
  /** What the server does when it is reached. */
  action: "warn" | "stop" | "down";
  created_by: string;
  created_at: number;
  /** When it was reached in the period that runs; null = not yet. */
  reached_at: number | null;
}

export interface ClusterEventsTable {
  id: Generated<number>;
  cluster_hash: string;
  name: string;
  starting_status: string | null;
  ending_status: string | null;
  reason: string;
  type: "STATUS_CHANGE" | "DEBUG" | "LAUNCH_PROGRESS" | "TERMINAL";
  transitioned_at: number;
  request_id: string | null;
}

export interface UsersTable {
  id: string;
  name: string;
  type: string;
  created_at: number;
  preferred_workspace: string | null;
}

export interface SystemConfigTable {
  config_key: string;
  config_value: string;
  updated_at: number;
}

/** Buckets that the product made, or is making: what `sky storage ls` shows. */
export interface StorageTable {
  name: string;
  /** As `store:` of a task, e.g. `S3`. */
  store: string;
  region: string;
  status: "INIT" | "READY" | "INIT_FAILED" | "UPLOAD_FAILED";
  launched_at: number;
  /** The command that used it last. */
  last_use: string | null;
  /** JSON: what the official server keeps of it. */
  handle: string;
  user_hash: string;
  workspace: string;
  /** The cluster with which it goes (`persistent: false`); null = it stays. */
  cluster_hash: string | null;
}

/** Buckets that the nodes of a cluster have mounted. */
export interface ClusterMountsTable {
  cluster_hash: string;
  /** Where the nodes see it. */
  dest: string;
  /** As in `storage`. */
  store: string;
  /** JSON: what the agents were told (shared/agent/mounts.ts `MountSpec`). */
  spec: string;
  /** Why its keys cannot be renewed, in a sentence; null while they can. */
  refused: string | null;
  /** JSON: what the nodes may still have there instead (core/storage/mounted-places.ts); null = nothing. */
  replaces: string | null;
}

/** Places of clouds that refused nodes a while ago (core/provision/capacity-memory.ts). */
export interface RefusalsTable {
  /** JSON of the account and the block: one row for each. */
  place: string;
  cloud: string;
  /** The account as its cloud names it; empty where a cloud has none. */
  account: string;
  region: string;
  /** JSON: what the refusal rules out (core/provision/places.ts `Block`). */
  block: string;
  code: string;
  reason: string;
  /** The launch that was refused. */
  request_id: string;
  refused_at: number;
  expires_at: number;
}

export interface Database {
  requests: RequestsTable;
  request_values: RequestValuesTable;
  table_versions: TableVersionsTable;
  effects: EffectsTable;
  clusters: ClustersTable;
  cluster_locks: ClusterLocksTable;
  cluster_history: ClusterHistoryTable;
  cluster_charges: ClusterChargesTable;
  budgets: BudgetsTable;
  cluster_events: ClusterEventsTable;
  users: UsersTable;
  storage: StorageTable;
  cluster_mounts: ClusterMountsTable;
  system_config: SystemConfigTable;
  refusals: RefusalsTable;
}
