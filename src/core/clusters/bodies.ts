/** Bodies of the cluster operations as they come over the wire, already validated by the schemas in shared/wire. */

/** Fields that every body has and that operations read. */
export interface RequestBody {
  /** The user's command line, e.g. `sky launch -c c1 task.yaml`. */
  readonly entrypoint_command?: string | undefined;
}

export type WireWaitFor = "jobs_and_ssh" | "jobs" | "none";

export interface LaunchBody extends RequestBody {
  readonly task: string;
  readonly cluster_name: string;
  readonly retry_until_up?: boolean | undefined;
  readonly idle_minutes_to_autostop?: number | null | undefined;
  readonly wait_for?: WireWaitFor | null | undefined;
  readonly dryrun?: boolean | undefined;
  readonly down?: boolean | undefined;
  readonly optimize_target?: number | undefined;
  readonly no_setup?: boolean | undefined;
  readonly clone_disk_from?: string | null | undefined;
  readonly fast?: boolean | undefined;
  readonly quiet_optimizer?: boolean | undefined;
  readonly is_launched_by_jobs_controller?: boolean | undefined;
  readonly is_launched_by_sky_serve_controller?: boolean | undefined;
  readonly disable_controller_check?: boolean | undefined;
  readonly resize?: boolean | undefined;
  readonly include_credentials?: boolean | undefined;
  readonly explain?: boolean | undefined;
}

export interface ExecBody extends RequestBody {
  readonly task: string;
  readonly cluster_name: string;
  readonly dryrun?: boolean | undefined;
  readonly down?: boolean | undefined;
}

export interface StopOrDownBody extends RequestBody {
  readonly cluster_name: string;
  readonly purge?: boolean | undefined;
  /** Whether uploads from mounted buckets are waited for however long it takes. */
  readonly graceful?: boolean | undefined;
  /** Seconds after which they are not waited for any more. */
  readonly graceful_timeout?: number | null | undefined;
}

export interface StartBody extends RequestBody {
  readonly cluster_name: string;
  readonly idle_minutes_to_autostop?: number | null | undefined;
  readonly wait_for?: WireWaitFor | null | undefined;
  readonly retry_until_up?: boolean | undefined;
  readonly down?: boolean | undefined;
  readonly force?: boolean | undefined;
}

export interface AutostopBody extends RequestBody {
  readonly cluster_name: string;
  /** Negative cancels. */
  readonly idle_minutes: number;
  readonly wait_for?: WireWaitFor | null | undefined;
  readonly down?: boolean | undefined;
  readonly hook?: string | null | undefined;
  readonly hook_timeout?: number | null | undefined;
}

export interface StatusBody extends RequestBody {
  /** Names or globs. */
  readonly cluster_names?: readonly string[] | null | undefined;
  readonly refresh?: "NONE" | "AUTO" | "FORCE" | undefined;
  readonly all_users?: boolean | undefined;
  readonly include_credentials?: boolean | undefined;
  readonly summary_response?: boolean | undefined;
  readonly include_handle?: boolean | undefined;
  readonly include_costs?: boolean | undefined;
}

export interface OrphansBody extends RequestBody {
  readonly action?: "list" | "down" | "adopt" | undefined;
  readonly cluster_names?: readonly string[] | null | undefined;
  readonly all_users?: boolean | undefined;
}

export interface QueueBody extends RequestBody {
  readonly cluster_name: string;
  readonly skip_finished?: boolean | undefined;
  readonly all_users?: boolean | undefined;
}

export interface JobStatusBody extends RequestBody {
  readonly cluster_name: string;
  readonly job_ids?: readonly number[] | null | undefined;
}

export interface CancelBody extends RequestBody {
  readonly cluster_name: string;
  readonly job_ids?: readonly number[] | null | undefined;
  readonly all?: boolean | undefined;
  readonly all_users?: boolean | undefined;
  readonly try_cancel_if_cluster_is_init?: boolean | undefined;
}

export interface LogsBody extends RequestBody {
  readonly cluster_name: string;
  readonly job_id?: number | null | undefined;
  readonly follow?: boolean | undefined;
  readonly tail?: number | undefined;
  /** Byte of run.log to start at; negative or absent: where a first call starts. */
  readonly log_offset?: number | null | undefined;
}

export interface HookLogsBody extends RequestBody {
  readonly cluster_name: string;
  /** Absent: the one that ran last. */
  readonly event?: "stop" | "down" | "preemption" | null | undefined;
  readonly follow?: boolean | undefined;
  readonly tail?: number | undefined;
}

export interface DownloadLogsBody extends RequestBody {
  readonly cluster_name: string;
  readonly job_ids?: readonly (string | number)[] | null | undefined;
}

export interface EndpointsBody extends RequestBody {
  readonly cluster: string;
  readonly port?: number | string | null | undefined;
}

export interface CostReportBody extends RequestBody {
  /** 0 or absent: all. */
  readonly days?: number | null | undefined;
  readonly cluster_hashes?: readonly string[] | null | undefined;
  readonly cluster_names?: readonly string[] | null | undefined;
  readonly dashboard_summary_response?: boolean | undefined;
  readonly exclude_managed_clusters?: boolean | undefined;
}

export interface ClusterEventsBody extends RequestBody {
  readonly cluster_name?: string | null | undefined;
  readonly cluster_hash?: string | null | undefined;
  /** One type or a comma list. */
  readonly event_type: string;
  readonly include_timestamps?: boolean | undefined;
  readonly limit?: number | null | undefined;
}

export interface CheckBody extends RequestBody {
  readonly clouds?: readonly string[] | null | undefined;
  readonly verbose?: boolean | undefined;
  readonly workspace?: string | null | undefined;
}

export interface EnabledCloudsBody extends RequestBody {
  readonly workspace?: string | null | undefined;
  readonly expand?: boolean | undefined;
}

export interface OptimizeBody extends RequestBody {
  readonly dag: string;
  readonly minimize?: number | undefined;
  readonly explain?: boolean | undefined;
  readonly request_options?:
    | { readonly idle_minutes_to_autostop?: number | null | undefined; readonly down?: boolean | undefined }
    | undefined;
}
