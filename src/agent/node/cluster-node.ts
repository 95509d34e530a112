import type { ContainerSpec, FetchParams, FetchResult, LogFile, SyncEntry } from "../../shared/agent/protocol.ts";
import type { FlushParams, LendKeysParams, MountParams, MountState } from "../../shared/agent/mounts.ts";
import type { EncodedBlock } from "../../shared/agent/sync-blocks.ts";
import type { TaskExit, TaskSpec } from "../tasks/task-types.ts";

export interface NodeExec {
  readonly script: string;
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutSeconds?: number;
  /** Where tasks run, which is the container when there is one; else on the node itself. Only for the node's own agent. */
  readonly isForTasks?: boolean;
  readonly onOutput: (bytes: Uint8Array) => Promise<void>;
  readonly signal: AbortSignal;
}

export interface NodeSyncParams {
  /** The same when a sync is repeated: it then takes over from one that does not know yet that its caller is gone. */
  readonly key: string;
  readonly dest: string;
  readonly entries: readonly SyncEntry[];
  /** As in `put_files`. */
  readonly isForNode?: boolean;
  /** Of objects: files that are there by their exact times stay, wherever the way to them leads. */
  readonly isDownload?: boolean;
  /** Bytes that come in other ways afterwards, to be counted where the node has none of the files. */
  readonly restBytes?: number;
}

export interface NodeSyncNeed {
  readonly need: readonly number[];
  /** Large files of which the node has the beginning: its hashes at each `PART_STEP_BYTES`. */
  readonly parts: readonly { readonly index: number; readonly marks: readonly string[] }[];
  /** That it was asked for is understood, which agents of older releases do not say. */
  readonly isDownload?: boolean;
}

/** A sync to one node: what it needs is known first, then contents go in. */
export interface NodeSync extends NodeSyncNeed {
  write(block: EncodedBlock): Promise<void>;
  /** Resolves when everything is in place. */
  finish(): Promise<void>;
  /** The error is why: after a connection was lost, what has come of a large file is kept. */
  abort(error: unknown): void;
}

export type NodeMountParams = Omit<MountParams, "key">;
export type NodeMountStates = readonly Omit<MountState, "node">[];

/** A connection to an SSH server on a node. */
export interface NodeConnection {
  /** What the server sends, until it ends. Ends without an error when it breaks off. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Resolves when more may be written. */
  write(bytes: Uint8Array): Promise<void>;
  endWrite(): void;
  close(): void;
}

/** What the head asks of a node, itself or a worker. All calls may be repeated. A worker that stays away makes them reject with NODE_UNREACHABLE. */
export interface ClusterNode {
  readonly index: number;
  /** Whether it can be asked at this moment. */
  readonly isAlive: boolean;
  startTask(spec: TaskSpec): Promise<number>;
  waitTask(id: string, options: { readonly signal: AbortSignal }): Promise<TaskExit>;
  /** Resolves when nothing of the task is left. */
  killTask(id: string, graceMs: number): Promise<void>;
  /** Raw output from an offset on, until the task is over. */
  tailTask(
    id: string,
    options: { readonly logPath: string; readonly offset: number; readonly signal: AbortSignal },
  ): AsyncIterable<Uint8Array>;
  /** Part of a file below HOME; undefined when it is not all there. */
  readRange(path: string, from: number, to: number): Promise<Uint8Array | undefined>;
  forgetJob(jobId: number): Promise<void>;
  listLogFiles(jobs: readonly { readonly jobId: number; readonly logDir: string }[]): Promise<readonly LogFile[]>;
  readFile(path: string, offset: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
  exec(request: NodeExec): Promise<number>;
  /** Starts an SSH server for one connection. */
  openSsh(signal: AbortSignal): Promise<NodeConnection>;
  /** Makes the container that tasks run in, or starts it again. */
  prepareContainer(spec: ContainerSpec): Promise<void>;
  /** Makes buckets appear as directories, and keeps them up. */
  mount(params: NodeMountParams): Promise<void>;
  lendKeys(params: LendKeysParams): Promise<void>;
  /** Undefined when the node cannot be asked at this moment. */
  mountStates(): Promise<NodeMountStates | undefined>;
  /** Resolves when everything that was written to mounts is in the buckets. */
  flushMounts(params: FlushParams, signal: AbortSignal): Promise<void>;
  fetch(wish: Omit<FetchParams, "key">, signal: AbortSignal): Promise<FetchResult>;
  sync(params: NodeSyncParams, signal: AbortSignal): Promise<NodeSync>;
}
