import type { JobStatus } from "../shared/agent/protocol.ts";
import type { Plan } from "../shared/wire/plan.ts";

/** What the server answers, as far as the client reads it. Fields are named as on the wire. */

export type RequestState = "PENDING" | "WAITING" | "RUNNING" | "SUCCEEDED" | "FAILED" | "CANCELLED";

export interface RequestPayload {
  readonly request_id: string;
  readonly name: string;
  readonly status: RequestState;
  readonly user_id: string;
  readonly user_name?: string | null;
  readonly cluster_name?: string | null;
  readonly status_msg?: string | null;
  /** JSON text. */
  readonly return_value: string;
  /** JSON text: null, or type and message. */
  readonly error: string;
  /** Epoch seconds. */
  readonly created_at: number;
  readonly finished_at?: number | null;
}

export interface Health {
  readonly status: "healthy" | "unhealthy" | "version_mismatch" | "needs_auth";
  readonly api_version?: string;
  readonly version?: string;
  readonly version_on_disk?: string;
  readonly commit?: string;
  readonly user?: { readonly id: string; readonly name: string } | null;
  readonly basic_auth_enabled?: boolean;
}

export interface ClusterHandle {
  readonly cluster_name: string;
  readonly cluster_name_on_cloud?: string | null;
  readonly launched_nodes?: number | null;
  readonly launched_resources?: Readonly<Record<string, unknown>> | null;
  readonly stable_internal_external_ips?: readonly (readonly [string, string])[] | null;
  readonly stable_ssh_ports?: readonly number[] | null;
  readonly ssh_user?: string | null;
  readonly docker_user?: string | null;
}

export interface SshCredentials {
  readonly ssh_user?: string;
  readonly ssh_private_key?: string | null;
  readonly ssh_private_key_content?: string | null;
  readonly ssh_control_name?: string;
  readonly ssh_proxy_command?: string | null;
  readonly docker_user?: string | null;
  /** How each node is reached, by index, where that is not by one user at the handle's addresses; a server of the original does not know of it. */
  readonly ssh_nodes?: readonly SshNode[];
  /** Only the way through the API server leads into the container; a server of the original does not know of it. */
  readonly ssh_through_server?: boolean;
}

export interface SshNode {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly proxy_command: string | null;
}

export type ClusterStatus = "INIT" | "UP" | "STOPPED" | "AUTOSTOPPING" | "PENDING";

/** One cluster as `/status` lists it. */
export interface ClusterRecord {
  readonly name: string;
  readonly status: ClusterStatus;
  /** Epoch seconds. */
  readonly launched_at: number;
  /** Minutes; -1 when off. */
  readonly autostop: number;
  readonly to_down: boolean;
  readonly nodes: number;
  readonly user_hash: string;
  readonly user_name: string;
  readonly workspace: string;
  readonly cluster_hash: string;
  readonly handle?: ClusterHandle | string | null;
  readonly credentials?: SshCredentials | null;
  readonly last_use?: string | null;
  readonly last_creation_command?: string | null;
  readonly last_event?: string | null;
  readonly init_kind?: "launching" | "unhealthy" | null;
  readonly init_status_reason?: string | null;
  readonly resources_str?: string | null;
  readonly resources_str_full?: string | null;
  readonly cloud?: string | null;
  readonly region?: string | null;
  readonly zone?: string | null;
  readonly is_managed?: boolean;
  /** USD; only when asked for, and null when unknown. */
  readonly cost_per_hour?: number | null;
  readonly total_cost?: number;
  readonly [field: string]: unknown;
}

/** One job of a cluster's queue. Times are epoch seconds. */
export interface JobRecord {
  readonly job_id: number;
  readonly job_name: string | null;
  readonly username: string;
  readonly user_hash: string;
  readonly submitted_at: number | null;
  readonly start_at?: number | null;
  readonly end_at?: number | null;
  readonly resources: string;
  readonly status: JobStatus;
  readonly log_path: string;
  readonly metadata?: Readonly<Record<string, unknown>> | null;
}

/** What `/launch` and `/exec` return. */
export interface LaunchResult {
  readonly job_id: number | null;
  readonly handle: ClusterHandle | string | null;
  readonly plan?: Plan | null;
  readonly can_stop?: boolean;
}

/** One row of `/cost_report`. */
export interface CostRecord {
  readonly name: string;
  readonly launched_at: number | null;
  /** Seconds. */
  readonly duration: number | null;
  readonly num_nodes: number | null;
  readonly resources: Readonly<Record<string, unknown>> | string | null;
  readonly status: string | null;
  /** USD so far. */
  readonly total_cost: number;
  readonly resources_str?: string | null;
  readonly resources_str_full?: string | null;
  readonly cost_per_hour?: number | null;
  readonly cost_details?: {
    readonly instances: number;
    readonly disks: number;
    readonly ips: number;
    readonly is_complete: boolean;
  };
  readonly user_name?: string | null;
  readonly workspace?: string | null;
  readonly labels?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

/** Cloud credentials in use that end. */
export interface CloudSession {
  /** As tables show it. */
  readonly cloud: string;
  readonly kind: string;
  readonly profile: string | null;
  /** Seconds since the epoch. */
  readonly expires_at: number;
}
