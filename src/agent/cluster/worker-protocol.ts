import type {
  ContainerSpec,
  FetchParams,
  FetchResult,
  LogFile,
  Preemption,
  ShutdownParams,
} from "../../shared/agent/protocol.ts";
import type { FlushParams, LendKeysParams } from "../../shared/agent/mounts.ts";
import type { NodeMountParams, NodeMountStates, NodeSyncNeed, NodeSyncParams } from "../node/cluster-node.ts";
import type { InsideNode } from "../inside/files.ts";
import type { TaskExit, TaskSpec } from "../tasks/task-types.ts";
import type { MemberFacts } from "./members.ts";

/** What the head answers to a worker that dialled in. */
export interface HeadMethods {
  /** Tasks of other jobs than these are left over: the worker ends them. */
  readonly join: {
    readonly params: MemberFacts & { readonly version: string; readonly preemption?: Preemption };
    readonly result: { readonly jobIds: readonly number[] };
  };
  /** The worker's provider has announced something. Of an interruption the answer has the hooks that the worker is to run. */
  readonly preempting: {
    readonly params: { readonly index: number; readonly preemption: Preemption };
    readonly result: { readonly hooks: readonly NodeHook[] };
  };
}

export interface HeadStreams {
  /** A connection to the SSH server of any node. */
  readonly ssh: {
    readonly params: { readonly node: number };
    readonly start: Record<string, never>;
    readonly end: Record<string, never>;
  };
}

/** What a worker answers to its head. All of it may be repeated. */
export interface WorkerMethods {
  readonly start_task: { readonly params: TaskSpec; readonly result: { readonly pid: number } };
  readonly wait_task: { readonly params: { readonly id: string }; readonly result: TaskExit };
  readonly kill_task: {
    readonly params: { readonly id: string; readonly graceMs: number };
    readonly result: Record<string, never>;
  };
  readonly forget_job: { readonly params: { readonly jobId: number }; readonly result: Record<string, never> };
  readonly list_log_files: {
    readonly params: { readonly jobs: readonly { readonly jobId: number; readonly logDir: string }[] };
    readonly result: { readonly files: readonly LogFile[] };
  };
  readonly has_terminal: {
    readonly params: Record<string, never>;
    readonly result: { readonly hasTerminal: boolean };
  };
  readonly prepare_container: { readonly params: ContainerSpec; readonly result: Record<string, never> };
  readonly fetch: {
    readonly params: Omit<FetchParams, "key">;
    readonly result: FetchResult;
  };
  readonly mount: { readonly params: NodeMountParams; readonly result: Record<string, never> };
  readonly lend_keys: { readonly params: LendKeysParams; readonly result: Record<string, never> };
  readonly mount_states: {
    readonly params: Record<string, never>;
    readonly result: { readonly mounts: NodeMountStates };
  };
  readonly flush_mounts: { readonly params: FlushParams; readonly result: Record<string, never> };
  /** Who is in the cluster; workers of older releases do not know it. */
  readonly set_nodes: {
    readonly params: { readonly nodes: readonly InsideNode[] };
    readonly result: Record<string, never>;
  };
  /** Waits as before an end, which does not follow yet; workers of older releases do not know it. */
  readonly last_flush: { readonly params: Record<string, never>; readonly result: StoppedNode };
  readonly stop_node: { readonly params: StopNode; readonly result: StoppedNode };
}

export interface NodeHook {
  readonly run: string;
  readonly timeoutSeconds: number;
}

/** How a worker ends with its cluster. */
export interface StopNode {
  /** As in ShutdownParams; absent when the cluster stops itself, and from heads of older releases. */
  readonly key?: string;
  readonly hookEvent?: ShutdownParams["hookEvent"];
  readonly hooks: readonly NodeHook[];
  /** `none`: only the agent ends; else the machine is stopped or given up as `power` says. */
  readonly power: "none" | "stopped" | "down";
  /** What becomes of the node's container. */
  readonly container: "stop" | "remove";
  /** As in ShutdownParams. */
  readonly uploadWait?: ShutdownParams["uploadWait"];
}

/** What ends with it though it was written to a bucket, in sentences; absent of workers of older releases, and of those that gave no answer. */
export interface StoppedNode {
  readonly lost?: readonly string[];
}

export interface WorkerStreams {
  readonly tail_task: {
    readonly params: { readonly id: string; readonly logPath: string; readonly offset: number };
    readonly start: Record<string, never>;
    readonly end: Record<string, never>;
  };
  readonly read_range: {
    readonly params: { readonly path: string; readonly from: number; readonly to: number };
    readonly start: Record<string, never>;
    readonly end: { readonly isComplete: boolean };
  };
  readonly read_file: {
    readonly params: { readonly path: string; readonly offset: number };
    readonly start: Record<string, never>;
    readonly end: Record<string, never>;
  };
  readonly exec: {
    readonly params: {
      readonly script: string;
      readonly env: Readonly<Record<string, string>>;
      readonly timeoutSeconds?: number;
    };
    readonly start: Record<string, never>;
    readonly end: { readonly exitCode: number };
  };
  readonly ssh: {
    readonly params: Record<string, never>;
    readonly start: Record<string, never>;
    readonly end: Record<string, never>;
  };
  readonly put_files: {
    readonly params: NodeSyncParams;
    readonly start: NodeSyncNeed;
    readonly end: Record<string, never>;
  };
}

/** Between head and worker silence is noticed after three of these. */
export const WORKER_KEEPALIVE_MS = 5000;
