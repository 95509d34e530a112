import type { JobStatus } from "../shared/agent/protocol.ts";
import type { OrphanRecord } from "../shared/wire/orphans.ts";
import type { Plan } from "../shared/wire/plan.ts";
import { submit, type WaitOptions } from "./operations.ts";
import type { Request } from "./request.ts";
import type { SkyClient } from "./sky-client.ts";
import { prepareTask, type TaskInput } from "./task-document.ts";
import type { CloudSession, ClusterHandle, ClusterRecord, CostRecord, JobRecord, LaunchResult } from "./wire-types.ts";

export type WaitFor = "jobs_and_ssh" | "jobs" | "none";

/** What a launch or an exec gives. */
export interface LaunchOutcome {
  /** null when there was nothing to run, or for a dry run. */
  readonly jobId: number | null;
  /** null for a dry run. */
  readonly cluster: ClusterHandle | null;
  /** False for clusters that can only be taken down; undefined when the server does not say. */
  readonly canStop?: boolean | undefined;
  /** Of a dry run for a new cluster; a server of the original gives none. */
  readonly plan?: Plan | undefined;
}

export interface LaunchOptions extends WaitOptions {
  /** A new name is made up without it. */
  readonly clusterName?: string;
  readonly retryUntilUp?: boolean;
  readonly idleMinutesToAutostop?: number;
  readonly waitFor?: WaitFor;
  readonly dryrun?: boolean;
  /** The plan of a dry run also has every candidate and every place that was dropped. */
  readonly explain?: boolean;
  readonly down?: boolean;
  readonly noSetup?: boolean;
  readonly cloneDiskFrom?: string;
  readonly fast?: boolean;
  readonly resize?: boolean;
  readonly quietOptimizer?: boolean;
  /** Told about the upload of local files to a remote server. */
  readonly onProgress?: (message: string) => void;
}

export interface ExecOptions extends WaitOptions {
  readonly clusterName: string;
  readonly dryrun?: boolean;
  readonly down?: boolean;
  readonly onProgress?: (message: string) => void;
}

export interface ValidateOptions {
  readonly clusterName?: string;
  readonly idleMinutesToAutostop?: number;
  readonly down?: boolean;
  readonly dryrun?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface OptimizeOptions extends ValidateOptions {
  readonly minimize?: "cost" | "time";
  /** Also every candidate and every place that was dropped. */
  readonly explain?: boolean;
}

export interface StatusOptions extends WaitOptions {
  /** Names or globs; all clusters without it. */
  readonly names?: readonly string[];
  readonly refresh?: boolean;
  readonly allUsers?: boolean;
  readonly includeCredentials?: boolean;
  readonly includeHandle?: boolean;
  readonly summary?: boolean;
  /** Also what each cluster costs. */
  readonly includeCosts?: boolean;
}

export interface StartOptions extends WaitOptions {
  readonly idleMinutesToAutostop?: number;
  readonly waitFor?: WaitFor;
  readonly retryUntilUp?: boolean;
  readonly down?: boolean;
  readonly force?: boolean;
}

export interface StopOptions extends WaitOptions {
  readonly purge?: boolean;
  /** Waits until what was written to mounted buckets is uploaded, however long it takes; else for at most ten minutes. */
  readonly graceful?: boolean;
  /** Waits for so many seconds at most, with or without `graceful`; 0 does not wait. */
  readonly gracefulTimeoutSeconds?: number;
}

export interface AutostopOptions extends WaitOptions {
  readonly idleMinutes?: number;
  /** Forgets the planned autostop. */
  readonly cancel?: boolean;
  readonly down?: boolean;
  readonly waitFor?: WaitFor;
}

export interface QueueOptions extends WaitOptions {
  readonly skipFinished?: boolean;
  readonly allUsers?: boolean;
}

export interface CancelOptions extends WaitOptions {
  readonly jobIds?: readonly number[];
  readonly all?: boolean;
  readonly allUsers?: boolean;
}

export interface CostReportOptions extends WaitOptions {
  /** 0 for everything. */
  readonly days?: number;
}

export interface OrphansOptions extends WaitOptions {
  readonly action?: "list" | "down" | "adopt";
  /** Names as `list` gives them; none = all. */
  readonly clusters?: readonly string[];
  readonly allUsers?: boolean;
}

export interface CheckOptions extends WaitOptions {
  readonly infra?: readonly string[];
  readonly verbose?: boolean;
  readonly workspace?: string;
}

export interface EnabledCloudsOptions extends WaitOptions {
  readonly workspace?: string;
  readonly expand?: boolean;
}

/** Workspace → cloud → capabilities. */
export type EnabledInfra = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

function toOutcome(value: unknown): LaunchOutcome {
  const { job_id: jobId, handle, plan, can_stop: canStop } = value as LaunchResult;
  return { jobId, cluster: plainHandle(handle), ...(plan ? { plan } : {}), canStop };
}

/** A handle as plain data; a server of the original sends a pickle instead, which is not read here. */
function plainHandle(handle: ClusterHandle | string | null | undefined): ClusterHandle | null {
  return typeof handle === "object" ? handle : null;
}

function requestOptions(options: ValidateOptions): Record<string, unknown> {
  return {
    cluster_name: options.clusterName ?? null,
    idle_minutes_to_autostop: options.idleMinutesToAutostop ?? null,
    down: options.down ?? false,
    dryrun: options.dryrun ?? false,
  };
}

export function launch(client: SkyClient, task: TaskInput, options: LaunchOptions): Request<LaunchOutcome> {
  const body = prepareTask(client, task, options).then((prepared) =>
    client.body({
      ...prepared,
      cluster_name: options.clusterName ?? null,
      retry_until_up: options.retryUntilUp ?? false,
      idle_minutes_to_autostop: options.idleMinutesToAutostop ?? null,
      dryrun: options.dryrun ?? false,
      ...(options.explain === true ? { explain: true } : {}),
      down: options.down ?? false,
      backend: "cloudvmray",
      optimize_target: 0,
      no_setup: options.noSetup ?? false,
      clone_disk_from: options.cloneDiskFrom ?? null,
      fast: options.fast ?? false,
      resize: options.resize ?? false,
      quiet_optimizer: options.quietOptimizer ?? false,
      include_credentials: true,
    }),
  );
  return submit(client.session, "/launch", body, { name: "sky.launch", decode: toOutcome, ...options });
}

export function exec(client: SkyClient, task: TaskInput, options: ExecOptions): Request<LaunchOutcome> {
  const body = prepareTask(client, task, { ...options, workdirOnly: true }).then((prepared) =>
    client.body({
      ...prepared,
      cluster_name: options.clusterName,
      dryrun: options.dryrun ?? false,
      down: options.down ?? false,
      backend: "cloudvmray",
      include_credentials: true,
    }),
  );
  return submit(client.session, "/exec", body, { name: "sky.exec", decode: toOutcome, ...options });
}

export async function validate(client: SkyClient, task: TaskInput, options: ValidateOptions): Promise<void> {
  const { task: dag } = await prepareTask(client, task, { withoutFiles: true });
  const json = client.body({ dag, request_options: requestOptions(options) });
  await client.session.json("POST", "/validate", { json, repeatable: true, signal: options.signal });
}

export function optimize(client: SkyClient, task: TaskInput, options: OptimizeOptions): Request<Plan | null> {
  const body = prepareTask(client, task, { withoutFiles: true }).then(({ task: dag }) =>
    client.body({
      dag,
      minimize: options.minimize === "time" ? 1 : 0,
      request_options: requestOptions(options),
      ...(options.explain === true ? { explain: true } : {}),
    }),
  );
  return submit(client.session, "/optimize", body, { name: "sky.optimize", ...options });
}

export function status(client: SkyClient, options: StatusOptions): Request<readonly ClusterRecord[]> {
  const body = client.body({
    cluster_names: options.names === undefined || options.names.length === 0 ? null : options.names,
    refresh: options.refresh === true ? "FORCE" : "NONE",
    all_users: options.allUsers ?? false,
    include_credentials: options.includeCredentials ?? false,
    summary_response: options.summary ?? false,
    include_handle: options.includeHandle ?? true,
    ...(options.includeCosts === true ? { include_costs: true } : {}),
  });
  return submit(client.session, "/status", body, { name: "sky.status", ...options });
}

export function start(client: SkyClient, cluster: string, options: StartOptions): Request<ClusterHandle | null> {
  const body = client.body({
    cluster_name: cluster,
    idle_minutes_to_autostop: options.idleMinutesToAutostop ?? null,
    wait_for: options.waitFor ?? null,
    retry_until_up: options.retryUntilUp ?? false,
    down: options.down ?? false,
    force: options.force ?? false,
  });
  const decode = (value: unknown): ClusterHandle | null => plainHandle(value as ClusterHandle | string | null);
  return submit(client.session, "/start", body, { name: "sky.start", decode, ...options });
}

export function stop(client: SkyClient, path: "/stop" | "/down", cluster: string, options: StopOptions): Request<null> {
  const body = client.body({
    cluster_name: cluster,
    purge: options.purge ?? false,
    graceful: options.graceful ?? false,
    graceful_timeout: options.gracefulTimeoutSeconds ?? null,
  });
  return submit(client.session, path, body, { name: `sky.${path.slice(1)}`, ...options });
}

export function autostop(client: SkyClient, cluster: string, options: AutostopOptions): Request<null> {
  const body = client.body({
    cluster_name: cluster,
    idle_minutes: options.cancel === true ? -1 : (options.idleMinutes ?? 5),
    wait_for: options.waitFor ?? null,
    down: options.down ?? false,
    hook: null,
    hook_timeout: null,
  });
  return submit(client.session, "/autostop", body, { name: "sky.autostop", ...options });
}

export function queue(client: SkyClient, cluster: string, options: QueueOptions): Request<readonly JobRecord[]> {
  const body = client.body({
    cluster_name: cluster,
    skip_finished: options.skipFinished ?? false,
    all_users: options.allUsers ?? false,
  });
  return submit(client.session, "/queue", body, { name: "sky.queue", ...options });
}

export function jobStatus(
  client: SkyClient,
  cluster: string,
  options: WaitOptions & { readonly jobIds?: readonly number[] | undefined },
): Request<ReadonlyMap<number, JobStatus | null>> {
  const body = client.body({ cluster_name: cluster, job_ids: options.jobIds ?? null });
  const decode = (value: unknown): ReadonlyMap<number, JobStatus | null> =>
    new Map(Object.entries(value as Record<string, JobStatus | null>).map(([id, state]) => [Number(id), state]));
  return submit(client.session, "/job_status", body, { name: "sky.job_status", decode, ...options });
}

export function cancel(client: SkyClient, cluster: string, options: CancelOptions): Request<null> {
  const body = client.body({
    cluster_name: cluster,
    job_ids: options.jobIds ?? null,
    all: options.all ?? false,
    all_users: options.allUsers ?? false,
    try_cancel_if_cluster_is_init: false,
  });
  return submit(client.session, "/cancel", body, { name: "sky.cancel", ...options });
}

export function endpoints(
  client: SkyClient,
  cluster: string,
  options: WaitOptions & { readonly port?: number | undefined },
): Request<ReadonlyMap<number, string>> {
  const body = client.body({ cluster, port: options.port ?? null });
  const decode = (value: unknown): ReadonlyMap<number, string> =>
    new Map(Object.entries((value ?? {}) as Record<string, string>).map(([port, url]) => [Number(port), url]));
  return submit(client.session, "/endpoints", body, { name: "sky.endpoints", decode, ...options });
}

export function costReport(client: SkyClient, options: CostReportOptions): Request<readonly CostRecord[]> {
  const body = client.body({ days: options.days ?? 30 });
  return submit(client.session, "/cost_report", body, { name: "sky.cost_report", ...options });
}

export function orphans(client: SkyClient, options: OrphansOptions): Request<readonly OrphanRecord[]> {
  const body = client.body({
    action: options.action ?? "list",
    cluster_names: options.clusters === undefined || options.clusters.length === 0 ? null : options.clusters,
    all_users: options.allUsers ?? false,
  });
  return submit(client.session, "/orphans", body, { name: "sky.orphans", ...options });
}

export function check(client: SkyClient, options: CheckOptions): Request<EnabledInfra> {
  const body = client.body({
    clouds: options.infra === undefined || options.infra.length === 0 ? null : options.infra,
    verbose: options.verbose ?? false,
    workspace: options.workspace ?? null,
  });
  return submit(client.session, "/check", body, { name: "sky.check", ...options });
}

export function enabledClouds(client: SkyClient, options: EnabledCloudsOptions): Request<readonly string[]> {
  const query = { workspace: options.workspace, expand: options.expand === true ? "True" : undefined };
  return submit(client.session, "/enabled_clouds", undefined, { name: "sky.enabled_clouds", query, ...options });
}

/** Cloud credentials in use that end. A server of the original does not know of it. */
export function cloudSessions(client: SkyClient, options: WaitOptions): Request<readonly CloudSession[]> {
  return submit(client.session, "/cloud_sessions", client.body({}), { name: "sky.cloud_sessions", ...options });
}
