/**
 * What the API server and a node's agent say to each other: one multiplexed stream of frames (frames.ts), one request or
 * stream per id (peer.ts). A mutating request carries an idempotency key. Versions N and N-1 work together: a side
 * ignores fields it does not know and answers `UNKNOWN_METHOD` to methods it does not know.
 */
import type { LendKeysParams, MountParams, MountState } from "./mounts.ts";
import type { UploadWait } from "./upload-wait.ts";

export const AGENT_PROTOCOL_VERSION = 1;

/** States of a job on a cluster, in the order in which the original compares them. */
export type JobStatus =
  | "INIT"
  | "PENDING"
  | "SETTING_UP"
  | "RUNNING"
  | "FAILED_DRIVER"
  | "SUCCEEDED"
  | "FAILED"
  | "FAILED_SETUP"
  | "CANCELLED";

export const TERMINAL_JOB_STATUSES: ReadonlySet<JobStatus> = new Set([
  "FAILED_DRIVER",
  "SUCCEEDED",
  "FAILED",
  "FAILED_SETUP",
  "CANCELLED",
]);

/** What one node offers, and what a job asks of each of its nodes. Counts may be fractions of a device. */
export interface NodeResources {
  readonly cpus: number;
  readonly memoryGib: number;
  /** Canonical accelerator name → count; for a node also the device indices are 0…count-1. */
  readonly accelerators: Readonly<Record<string, number>>;
}

/** What a provider announces of a node: that it ends, or that it may soon. */
export interface Preemption {
  readonly kind: "interruption" | "rebalance";
  /** Milliseconds since the epoch: when the node ends; of a mere warning, when it was given. */
  readonly atMs: number;
}

export interface NodeInfo {
  /** Position in the cluster: 0 is the head. */
  readonly index: number;
  /** Address by which the cluster's nodes reach this one. */
  readonly ip: string;
  readonly resources: NodeResources;
  readonly isAlive: boolean;
  /** First 16 hex digits of the SHA-256 of the program that the node's agent runs; absent from agents that do not tell. */
  readonly bundle?: string;
  /** `x64` or `arm64`; absent from agents that do not tell. */
  readonly arch?: string;
  /** Absent: nothing was announced. */
  readonly preemption?: Preemption;
}

/** `<root>/node.json` (0600), written by the server before the agent starts; the agent's whole configuration. */
export interface NodeConfig {
  readonly clusterName: string;
  readonly clusterNameOnCloud: string;
  /** 64 hex digits; the TLS pre-shared key between head and workers. Never logged, never in argv. */
  readonly clusterToken: string;
  readonly index: number;
  readonly numNodes: number;
  readonly ip: string;
  readonly resources: NodeResources;
  /** Indices on the machine of the node's accelerators, in order; absent = 0…count-1. */
  readonly deviceIndices?: readonly number[];
  /** The node's HOME: `~/sky_workdir`, `~/sky_logs` and `~/.sky` live below it. */
  readonly home: string;
  /** Where workers dial in; absent on the head, which listens on `ip` and keeps its port across restarts. */
  readonly head?: { readonly host: string; readonly port: number };
  /** Who may log in by the stream `ssh`, as lines of `authorized_keys`. */
  readonly sshKeys?: readonly string[];
  /** What "stop" and "down" of this machine mean: leave (a directory on a shared machine) or power the OS off. */
  readonly power: "leave" | "poweroff";
  /** Where the node learns that its provider takes it back: EC2's instance metadata. Absent for nodes that are not taken back. */
  readonly notices?: "ec2";
  /** `{"cluster_name": …, "cloud": …, "region": …, "zone": …}` as SKYPILOT_CLUSTER_INFO shows it. */
  readonly clusterInfo: string;
}

/** How to log in to a registry. Never stored, logged or in anybody's arguments. */
export interface RegistryLogin {
  readonly server: string;
  readonly username: string;
  readonly password: string;
  /** What to do when the registry refuses it; absent for a login of the task's own. */
  readonly hintWhenRefused?: string;
}

/** The container that setup, run and hooks of a cluster run in. */
export interface ContainerSpec {
  /** As `docker pull` takes it; the login's server is put in front where it is missing. */
  readonly image: string;
  readonly login?: RegistryLogin;
  /** Further arguments of `docker run`. */
  readonly runOptions: readonly string[];
}

export interface HelloParams {
  readonly protocol: number;
}
export interface HelloResult {
  readonly protocol: number;
  readonly version: string;
  /** Changes at every start of the agent. */
  readonly incarnation: string;
  readonly clusterName: string;
  readonly index: number;
  /** Port on which the head takes workers in; 0 on a worker. */
  readonly workerPort: number;
  /** Nodes that are connected to the head, the head included; of a worker itself. */
  readonly nodes: readonly NodeInfo[];
}

export interface Hook {
  readonly run: string;
  readonly events: readonly ("stop" | "preemption" | "down")[];
  readonly timeoutSeconds: number;
}

export interface SubmitParams {
  /** Idempotency key: the same key answers with the same job. */
  readonly key: string;
  /** Null when the task has no name. */
  readonly name: string | null;
  readonly userHash: string;
  readonly userName: string;
  /** `sky-YYYY-MM-DD-HH-MM-SS-ffffff`. */
  readonly runTimestamp: string;
  readonly numNodes: number;
  /** Demand per node. `cpus` undefined means the default share of 0.5. */
  readonly demand: {
    readonly cpus?: number;
    readonly memoryGib?: number;
    readonly accelerators: Readonly<Record<string, number>>;
  };
  /** Shown in the queue, e.g. `1x[CPU:1+]`. */
  readonly resourcesText: string;
  readonly setup?: string;
  readonly run?: string;
  /** The task's envs; kept in a 0600 file that goes when the job ends, never in the database. */
  readonly envs: Readonly<Record<string, string>>;
  /** The task's secrets, merged over envs; the same care. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Shown as GIT COMMIT and the like. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** SKYPILOT_TASK_ID when the caller fixes it (managed jobs); else `<runTimestamp>_<cluster>_<job id>`. */
  readonly taskId?: string;
  readonly gracePeriodSeconds: number;
}
export interface SubmitResult {
  readonly jobId: number;
  /** `~/sky_logs/<id>-<name>`. */
  readonly logDir: string;
}

export interface JobRecord {
  readonly jobId: number;
  readonly name: string | null;
  readonly userHash: string;
  readonly userName: string;
  /** Seconds since the epoch, with fraction. */
  readonly submittedAt: number;
  readonly startAt: number | null;
  readonly endAt: number | null;
  readonly status: JobStatus;
  readonly resourcesText: string;
  readonly runTimestamp: string;
  readonly logDir: string;
  readonly numNodes: number;
  readonly exitCodes: readonly number[] | null;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface QueueParams {
  /** Only this user's jobs. */
  readonly userHash?: string;
  readonly skipFinished?: boolean;
  readonly jobIds?: readonly number[];
  /** Newest first; at most this many. */
  readonly limit?: number;
}
export interface QueueResult {
  readonly jobs: readonly JobRecord[];
}

export interface LogsParams {
  /** Null: the latest job. */
  readonly jobId: number | null;
  readonly follow: boolean;
  /** Last N lines; 0 = everything. Ignored when `offset` is given. */
  readonly tail: number;
  /** Byte of run.log to start at; absent = at the line with the marker `Waiting for task resources on `. */
  readonly offset?: number;
}
/** First answer of `logs`; then data frames with raw bytes of run.log; then `LogsEnd`. */
export interface LogsStart {
  readonly jobId: number | null;
  readonly status: JobStatus | null;
  /** Byte of run.log of the first data frame. */
  readonly offset: number;
}
export interface LogsEnd {
  readonly status: JobStatus | null;
  /** Offset after the last byte sent. */
  readonly offset: number;
}

export interface CancelParams {
  readonly key: string;
  readonly jobIds?: readonly number[];
  /** All jobs of `userHash`, or of everybody when that is absent. */
  readonly all?: boolean;
  readonly userHash?: string;
}
export interface CancelResult {
  /** Jobs that were cancelled; their processes are gone when this answer arrives. */
  readonly jobIds: readonly number[];
}

export interface SetAutostopParams {
  readonly key: string;
  /** Minutes; negative = off. */
  readonly idleMinutes: number;
  readonly down: boolean;
  readonly waitFor: "jobs_and_ssh" | "jobs" | "none";
  readonly hooks?: readonly Hook[];
}

export interface StatusResult {
  /** Milliseconds since the epoch. */
  readonly lastActiveMs: number;
  readonly isIdle: boolean;
  readonly autostop: { readonly idleMinutes: number; readonly down: boolean; readonly waitFor: string } | null;
  readonly isAutostopping: boolean;
  readonly nodes: readonly NodeInfo[];
}

/** A file to place. `path` is relative to the sync's `dest` ("" when dest itself is a file); `/` separates. */
export interface SyncEntry {
  readonly path: string;
  readonly kind: "file" | "dir" | "link";
  /** Permission bits. */
  readonly mode: number;
  /** Bytes; 0 unless a file. */
  readonly size: number;
  readonly mtimeMs: number;
  readonly target?: string;
}
export interface SyncParams {
  readonly key: string;
  /** Absolute or `~/…`: where the tree goes on the node. Outside `~` and `/tmp` it is placed below `~/.sky/file_mounts` and linked. */
  readonly dest: string;
  readonly entries: readonly SyncEntry[];
  /** Which nodes (indices); absent = all. The head passes the stream on to the workers. */
  readonly nodes?: readonly number[];
  /** For the machine itself, also where tasks run in a container. */
  readonly isForNode?: boolean;
}
/**
 * First answer of `put_files`: the indices of the entries whose content some node lacks (by size and mtime). The caller then sends
 * their contents in this order as blocks (`sync-blocks.ts`), and ends its side; the final answer follows.
 */
export interface SyncNeed {
  readonly need: readonly number[];
  /** Large files of which every node that lacks them has the beginning; the caller compares it, and may go on behind it. */
  readonly parts: readonly SyncPart[];
}
export interface SyncPart {
  readonly index: number;
  readonly bytes: number;
  /** Of the beginning, in hex. */
  readonly sha256: string;
}
/** Beginnings of large files are hashed at every multiple of this. */
export const PART_STEP_BYTES = 8 * 1024 * 1024;

/** A file to download. */
export interface FetchFile {
  /** Relative to the request's `dest`; "" when dest itself is the file. */
  readonly path: string;
  /** Carries the right to read; never logged with its query. */
  readonly url: string;
  /** Bytes; absent = whatever comes. */
  readonly size?: number;
  /** What the file's time becomes; with the size it tells whether the file is there already. */
  readonly mtimeMs?: number;
  /** The store's name of this very content, without quotes. Given, only this content is taken, and only it counts as there already. */
  readonly etag?: string;
}
export interface FetchParams {
  readonly key: string;
  /** As in `put_files`. */
  readonly dest: string;
  readonly files: readonly FetchFile[];
  /** Bytes of files of the same copy that later requests are about, to be counted where the node has none of these. */
  readonly restBytes?: number;
}
/** Of the node that has done the most. */
export interface FetchResult {
  readonly files: number;
  readonly bytes: number;
  /** Files that were there already. */
  readonly unchanged: number;
}

/** Runs a shell command on nodes outside the job queue (git workdir, mounts, sync helpers); output comes as data frames. */
export interface ExecParams {
  readonly key: string;
  readonly script: string;
  readonly env: Readonly<Record<string, string>>;
  readonly node: number;
  readonly timeoutSeconds?: number;
}
export interface ExecResult {
  readonly exitCode: number;
}

export interface ListLogFilesParams {
  /** Absent: all jobs. */
  readonly jobIds?: readonly number[];
}
export interface LogFile {
  readonly jobId: number;
  readonly node: number;
  /** Path relative to the job's log directory on that node. */
  readonly path: string;
  readonly size: number;
}
export interface ListLogFilesResult {
  readonly files: readonly LogFile[];
}
export interface ReadLogFileParams {
  readonly jobId: number;
  readonly node: number;
  readonly path: string;
  readonly offset: number;
}

export interface ShutdownParams {
  readonly key: string;
  /** `keep`: ranks go on and the next agent adopts them (upgrade). `kill`: every job ends first (stop, down). */
  readonly jobs: "keep" | "kill";
  /** Which lifecycle hooks to run first; absent = none. */
  readonly hookEvent?: "stop" | "down" | "preemption";
  /** With `kill`: how long every node waits for its uploads. Absent: ten minutes, as agents of older releases always do. */
  readonly uploadWait?: UploadWait;
}

/** What ends with a node though it was written to a bucket, in a sentence. */
export interface LostWithNode {
  readonly node: number;
  readonly what: string;
  /** It stays on the node's disk, because that is only stopped. */
  readonly isKept?: boolean;
}

export interface ShutdownResult {
  /** Agents of older releases do not tell. */
  readonly lost?: readonly LostWithNode[];
}

/** Pushed by `watch`, numbered without gaps from the `seq` that the caller names; older ones are replayed. */
export type AgentEvent =
  | { readonly seq: number; readonly type: "preempting"; readonly index: number; readonly preemption: Preemption }
  | { readonly seq: number; readonly type: "job"; readonly job: JobRecord }
  | { readonly seq: number; readonly type: "autostopping"; readonly down: boolean }
  | ({ readonly seq: number; readonly type: "lost" } & LostWithNode)
  | {
      readonly seq: number;
      readonly type: "node";
      readonly index: number;
      readonly isAlive: boolean;
      readonly reason: string;
    };

/** Method → its parameters, its (first) answer, whether data frames flow, and the closing answer. */
export interface AgentMethods {
  readonly hello: { readonly params: HelloParams; readonly result: HelloResult };
  readonly submit: { readonly params: SubmitParams; readonly result: SubmitResult };
  readonly queue: { readonly params: QueueParams; readonly result: QueueResult };
  readonly cancel: { readonly params: CancelParams; readonly result: CancelResult };
  readonly set_autostop: { readonly params: SetAutostopParams; readonly result: Record<string, never> };
  readonly status: { readonly params: Record<string, never>; readonly result: StatusResult };
  readonly list_log_files: { readonly params: ListLogFilesParams; readonly result: ListLogFilesResult };
  /** Makes the container on every node, or starts it again; what is right already is left alone. Pulling may take minutes. */
  readonly prepare_container: { readonly params: ContainerSpec; readonly result: Record<string, never> };
  readonly shutdown: { readonly params: ShutdownParams; readonly result: ShutdownResult };
  /**
   * Before the workers from an index on are removed: waits, as `shutdown` does, for what they have not sent to buckets, and says what would be
   * lost. May be repeated. Agents of older releases do not know it.
   */
  readonly flush_workers: { readonly params: { readonly from: number }; readonly result: ShutdownResult };
  /** Every node gets the files, small ones by way of the head. May be repeated: what is there is left as it is. */
  readonly fetch: { readonly params: FetchParams; readonly result: FetchResult };
  /** Buckets appear on every node before it is answered. What is mounted already, in the same way, stays as it is. */
  readonly mount: { readonly params: MountParams; readonly result: Record<string, never> };
  readonly lend_keys: { readonly params: LendKeysParams; readonly result: Record<string, never> };
  /** Of the nodes that can be asked at this moment. */
  readonly mount_states: {
    readonly params: Record<string, never>;
    readonly result: { readonly mounts: readonly MountState[] };
  };
  /** After a stop and start: jobs that were not finished become FAILED_DRIVER. */
  readonly fail_unfinished: {
    readonly params: { readonly key: string };
    readonly result: { readonly jobIds: readonly number[] };
  };
}

/** Methods whose answer is a stream: first answer, data or event frames, closing answer. */
export interface AgentStreams {
  readonly logs: { readonly params: LogsParams; readonly start: LogsStart; readonly end: LogsEnd };
  readonly put_files: { readonly params: SyncParams; readonly start: SyncNeed; readonly end: Record<string, never> };
  readonly exec: { readonly params: ExecParams; readonly start: Record<string, never>; readonly end: ExecResult };
  /** A connection to an SSH server of the node, for this connection alone. */
  readonly ssh: {
    readonly params: { readonly node: number };
    readonly start: Record<string, never>;
    readonly end: Record<string, never>;
  };
  readonly read_log_file: {
    readonly params: ReadLogFileParams;
    readonly start: { readonly size: number };
    readonly end: Record<string, never>;
  };
  readonly watch: {
    /** `incarnation`: the agent's life that `afterSeq` counts in; in another life everything is replayed. */
    readonly params: { readonly afterSeq: number; readonly incarnation?: string };
    readonly start: { readonly incarnation: string; readonly seq: number };
    readonly end: Record<string, never>;
  };
}

/** Error codes an agent answers with. */
export type AgentErrorCode =
  | "UNKNOWN_METHOD"
  | "BAD_PARAMS"
  | "JOB_NOT_FOUND"
  | "PATH_EXISTS"
  | "NO_SPACE"
  | "NODE_UNREACHABLE"
  | "FETCH_REFUSED"
  | "FETCH_FAILED"
  | "NOT_ALLOWED"
  | "CONTAINER_FAILED"
  | "MOUNT_FAILED"
  | "MOUNT_DENIED"
  | "MOUNT_UNSENT"
  | "MOUNTER_MISSING"
  | "INTERNAL";
