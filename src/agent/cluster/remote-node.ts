import { AgentPeerError, isConnectionLoss } from "../../shared/agent/peer-error.ts";
import type { AgentPeer } from "../../shared/agent/peer.ts";
import type { FlushParams, LendKeysParams } from "../../shared/agent/mounts.ts";
import { LentPlaces } from "../mounts/lent-places.ts";
import type { ContainerSpec, FetchParams, FetchResult, LogFile } from "../../shared/agent/protocol.ts";
import { secondsOf } from "../../shared/agent/upload-wait.ts";
import type { Clock } from "../../shared/clock.ts";
import type { InsideNode } from "../inside/files.ts";
import { nodeName } from "../jobs/job-text.ts";
import type {
  ClusterNode,
  NodeConnection,
  NodeExec,
  NodeMountParams,
  NodeMountStates,
  NodeSync,
  NodeSyncParams,
} from "../node/cluster-node.ts";
import { openSshAt } from "../ssh/ssh-door.ts";
import type { TaskExit, TaskSpec } from "../tasks/task-types.ts";
import type { Member, MemberFacts } from "./members.ts";
import type { StoppedNode, StopNode, WorkerMethods, WorkerStreams } from "./worker-protocol.ts";

export type WorkerPeer = AgentPeer<WorkerMethods, WorkerStreams>;

/** A node whose end was announced gets this much longer than announced. */
const LAST_CHANCE_MS = 5000;

export interface RemoteNodeOptions {
  readonly index: number;
  /** What the worker said when it joined before. */
  readonly facts?: MemberFacts;
  /** How long a worker may be away before its jobs are given up. */
  readonly graceMs: number;
  readonly clock: Clock;
  /** Why the worker may be gone for good, and how long until that is certain; undefined when nothing says so. */
  readonly endOf?: () => { readonly reason: string; readonly inMs: number } | undefined;
  /** Called when the worker joins, goes away, or is given up. */
  readonly onChange: (isAlive: boolean, reason: string) => void;
}

/**
 * A worker as the head sees it. Requests wait while its connection is away, and are repeated on the next one; only when the grace period is over
 * do they fail.
 */
export class RemoteNode implements ClusterNode, Member {
  readonly index: number;
  readonly node: ClusterNode = this;
  readonly #options: RemoteNodeOptions;
  #facts: MemberFacts | undefined;
  #peer: WorkerPeer | undefined;
  /** Settles when the connection is there again, or with an error when the worker is given up. */
  #arrival = Promise.withResolvers<WorkerPeer>();
  #isGivenUp = false;
  #waiting: AbortController | undefined;
  /** By destination: a worker that was started anew has none. */
  readonly #lent = new LentPlaces();

  constructor(options: RemoteNodeOptions) {
    this.index = options.index;
    this.#options = options;
    this.#facts = options.facts;
    this.#arrival.promise.catch(() => undefined);
    this.#startGrace("it has not joined the cluster");
  }

  get facts(): MemberFacts | undefined {
    return this.#facts;
  }

  get isAlive(): boolean {
    return this.#peer !== undefined;
  }

  /** Takes over a new connection of the worker; an older one is closed. */
  join(facts: MemberFacts, peer: WorkerPeer): void {
    const before = this.#peer;
    this.#facts = facts;
    this.#peer = peer;
    before?.close();
    this.#waiting?.abort();
    if (this.#isGivenUp) this.#renewArrival();
    this.#isGivenUp = false;
    this.#arrival.resolve(peer);
    void peer.closed.then((error) => this.#leave(peer, error));
    this.#options.onChange(true, "connected");
    const keys = this.#lent.list();
    // One that goes away at once gets them when it comes back.
    if (keys.length > 0) peer.call("lend_keys", { keys }).catch(() => undefined);
  }

  async startTask(spec: TaskSpec): Promise<number> {
    return (await this.#call((peer) => peer.call("start_task", spec))).pid;
  }

  waitTask(id: string, options: { readonly signal: AbortSignal }): Promise<TaskExit> {
    return this.#call((peer) => peer.call("wait_task", { id }, options));
  }

  async killTask(id: string, graceMs: number): Promise<void> {
    await this.#call((peer) => peer.call("kill_task", { id, graceMs }));
  }

  async *tailTask(
    id: string,
    options: { readonly logPath: string; readonly offset: number; readonly signal: AbortSignal },
  ): AsyncGenerator<Uint8Array, void> {
    const { logPath, signal } = options;
    let { offset } = options;
    for (;;) {
      const peer = await this.#connected();
      const stream = peer.open("tail_task", { id, logPath, offset }, { signal });
      try {
        for await (const chunk of stream.chunks) {
          offset += chunk.length;
          yield chunk;
        }
        await stream.end;
        return;
      } catch (error) {
        if (!isConnectionLoss(error) || signal.aborted) throw error;
      } finally {
        stream.cancel();
      }
    }
  }

  readRange(path: string, from: number, to: number): Promise<Uint8Array | undefined> {
    return this.#call(async (peer) => {
      const stream = peer.open("read_range", { path, from, to });
      const parts: Uint8Array[] = [];
      for await (const chunk of stream.chunks) parts.push(chunk);
      return (await stream.end).isComplete ? Buffer.concat(parts) : undefined;
    });
  }

  async forgetJob(jobId: number): Promise<void> {
    // A worker that is away cleans up when it joins again.
    if (this.#peer !== undefined) await this.#peer.call("forget_job", { jobId });
  }

  async listLogFiles(
    jobs: readonly { readonly jobId: number; readonly logDir: string }[],
  ): Promise<readonly LogFile[]> {
    const slim = jobs.map(({ jobId, logDir }) => ({ jobId, logDir }));
    if (this.#peer === undefined) return [];
    return (await this.#peer.call("list_log_files", { jobs: slim })).files;
  }

  async *readFile(path: string, offset: number, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
    const stream = (await this.#connected()).open("read_file", { path, offset }, { signal });
    yield* stream.chunks;
    await stream.end;
  }

  async exec({ onOutput, signal, ...params }: NodeExec): Promise<number> {
    // Not repeated on a new connection: nobody knows how far the script got.
    const stream = (await this.#connected()).open("exec", params, { signal });
    for await (const chunk of stream.chunks) await onOutput(chunk);
    return (await stream.end).exitCode;
  }

  async openSsh(signal: AbortSignal): Promise<NodeConnection> {
    return openSshAt((await this.#connected()).open("ssh", {}, { signal }));
  }

  async prepareContainer(spec: ContainerSpec): Promise<void> {
    await this.#call((peer) => peer.call("prepare_container", spec));
  }

  fetch(wish: Omit<FetchParams, "key">, signal: AbortSignal): Promise<FetchResult> {
    return this.#call((peer) => peer.call("fetch", wish, { signal }));
  }

  async mount(params: NodeMountParams): Promise<void> {
    this.#lent.mounted(params.mounts);
    await this.#call((peer) => peer.call("mount", params));
  }

  async lendKeys(params: LendKeysParams): Promise<void> {
    this.#lent.renewed(params.keys);
    await this.#peer?.call("lend_keys", params);
  }

  async mountStates(): Promise<NodeMountStates | undefined> {
    return this.#peer === undefined ? undefined : (await this.#peer.call("mount_states", {})).mounts;
  }

  async flushMounts(params: FlushParams, signal: AbortSignal): Promise<void> {
    await this.#call((peer) => peer.call("flush_mounts", params, { signal }));
  }

  async sync(params: NodeSyncParams, signal: AbortSignal): Promise<NodeSync> {
    const stream = (await this.#connected()).open("put_files", params, { signal });
    return {
      ...(await stream.start),
      // A worker that refuses says why in its closing answer; a failed send only says that it stopped listening.
      write: ({ encoded }) => stream.send(encoded).catch(() => stream.end.then(() => undefined)),
      finish: async () => {
        stream.endSend();
        await stream.end;
      },
      abort: () => stream.cancel(),
    };
  }

  async hasTerminal(): Promise<boolean> {
    return this.#peer !== undefined && (await this.#peer.call("has_terminal", {})).hasTerminal;
  }

  /** Tells who is in the cluster; a worker that is away hears of it when it joins again. */
  tellNodes(nodes: readonly InsideNode[]): void {
    // One of an older release does not know the method, and one that went away asks again.
    this.#peer?.call("set_nodes", { nodes }).catch(() => undefined);
  }

  /** A worker that is away is not waited for, unless its uploads are to be waited for longer than for its connection. */
  async stopNode(params: StopNode): Promise<StoppedNode> {
    const { uploadWait } = params;
    if (uploadWait !== undefined && secondsOf(uploadWait) * 1000 > this.#options.graceMs) {
      return this.#call((peer) => peer.call("stop_node", params));
    }
    return (await this.#peer?.call("stop_node", params)) ?? {};
  }

  /** It may be repeated: a connection that comes back soon is waited for. */
  lastFlush(signal: AbortSignal): Promise<StoppedNode> {
    return this.#call((peer) => peer.call("last_flush", {}, { signal }));
  }

  async #call<T>(request: (peer: WorkerPeer) => Promise<T>): Promise<T> {
    for (;;) {
      const peer = await this.#connected();
      try {
        return await request(peer);
      } catch (error) {
        if (!isConnectionLoss(error)) throw error;
        // The peer is closed by now, or about to be noticed as such.
        await peer.closed;
      }
    }
  }

  async #connected(): Promise<WorkerPeer> {
    const peer = this.#peer ?? (await this.#arrival.promise);
    return peer.isClosed ? this.#arrivalAfter(peer) : peer;
  }

  async #arrivalAfter(peer: WorkerPeer): Promise<WorkerPeer> {
    await peer.closed;
    return this.#connected();
  }

  #leave(peer: WorkerPeer, error: Error | undefined): void {
    if (this.#peer !== peer) return;
    this.#peer = undefined;
    this.#renewArrival();
    const end = this.#options.endOf?.();
    const reason = end?.reason ?? error?.message ?? "the connection was closed";
    this.#options.onChange(false, reason);
    this.#startGrace(reason, end?.inMs);
  }

  #renewArrival(): void {
    this.#arrival = Promise.withResolvers();
    this.#arrival.promise.catch(() => undefined);
  }

  #startGrace(reason: string, certainInMs?: number): void {
    const { clock } = this.#options;
    const graceMs = Math.min(
      this.#options.graceMs,
      certainInMs === undefined ? Infinity : certainInMs + LAST_CHANCE_MS,
    );
    const waiting = new AbortController();
    this.#waiting = waiting;
    clock.sleep(graceMs, { signal: waiting.signal }).then(
      () => {
        this.#isGivenUp = true;
        const name = `${nodeName(this.index)}${this.#facts === undefined ? "" : ` (${this.#facts.ip})`}`;
        const message = `node ${name} has been unreachable for ${Math.round(graceMs / 1000)} s: ${reason}`;
        this.#arrival.reject(new AgentPeerError("NODE_UNREACHABLE", message));
      },
      () => undefined,
    );
  }
}
