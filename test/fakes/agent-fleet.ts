import { zstdDecompressSync } from "node:zlib";
import { decodeBlocks } from "../../src/agent/sync/decode-blocks.ts";
import { duplexPair, type Duplex } from "node:stream";
import { duplexOverStream } from "../../src/shared/agent/byte-duplex.ts";
import { AgentPeer } from "../../src/shared/agent/peer.ts";
import { AgentPeerError } from "../../src/shared/agent/peer-error.ts";
import type { MethodHandlers, StreamHandlers } from "../../src/shared/agent/peer-types.ts";
import type {
  AgentEvent,
  AgentMethods,
  AgentStreams,
  JobRecord,
  JobStatus,
  LostWithNode,
  NodeConfig,
  SetAutostopParams,
  ShutdownParams,
  SubmitParams,
  SyncParams,
} from "../../src/shared/agent/protocol.ts";
import { AgentError, AgentNotRunningError } from "../../src/shared/errors.ts";
import type { Instance } from "../../src/core/ports/cloud.ts";
import type { Runner } from "../../src/core/ports/runner.ts";

type NewEvent = AgentEvent extends infer E ? (E extends AgentEvent ? Omit<E, "seq"> : never) : never;

interface FakeNode {
  readonly root: string;
  /** Content of its node.json. */
  config: string | undefined;
  /** Agents that run; a second start of a running agent ends at once, as the real one's lock makes it. */
  isRunning: boolean;
  starts: number;
  /** The program that runs, by its hash; undefined: an agent that does not tell. */
  bundle: string | undefined;
}

/** Jobs and settings of one cluster: what the real head keeps on disk. */
export class FakeHead {
  readonly jobs: JobRecord[] = [];
  readonly submissions: SubmitParams[] = [];
  readonly syncs: SyncParams[] = [];
  readonly shutdowns: ShutdownParams[] = [];
  /** What comes before an agent ends. */
  onShutdown: (() => Promise<void> | void) | undefined;
  /** What workers could not upload; undefined: an agent of an older release, which cannot be asked. */
  unsent: readonly LostWithNode[] | undefined = [];
  readonly received = new Map<string, string>();
  autostop: SetAutostopParams | undefined;
  isAutostopping = false;
  readonly events: AgentEvent[] = [];
  readonly watchers = new Set<() => void>();

  push(event: NewEvent): void {
    this.events.push({ ...event, seq: this.events.length + 1 });
    for (const wake of this.watchers) wake();
  }
}

/** The machines of a fake cloud, each with an agent in memory that speaks the real protocol. */
export class AgentFleet {
  readonly #nodes = new Map<string, FakeNode>();
  readonly #heads = new Map<string, FakeHead>();
  readonly #peers = new Map<string, Set<AgentPeer>>();
  /** Called before the server acts on a node; may throw, as a server that dies there does. */
  onAct: ((act: string) => void) | undefined;
  /** Roots of agents that cannot be reached although they run. */
  readonly unreachable = new Set<string>();

  head(nameOnCloud: string): FakeHead {
    const head = this.#heads.get(nameOnCloud) ?? new FakeHead();
    this.#heads.set(nameOnCloud, head);
    return head;
  }

  heads(): readonly FakeHead[] {
    return [...this.#heads.values()];
  }

  node(root: string): FakeNode {
    const node = this.#nodes.get(root) ?? { root, config: undefined, isRunning: false, starts: 0, bundle: "" };
    this.#nodes.set(root, node);
    return node;
  }

  running(): readonly string[] {
    return [...this.#nodes.values()].filter((node) => node.isRunning).map((node) => node.root);
  }

  /** Ends an agent without a word. */
  kill(root: string): void {
    this.node(root).isRunning = false;
    this.disconnect(root);
  }

  /** Breaks the connections to an agent that goes on. */
  disconnect(root: string): void {
    for (const peer of this.#peers.get(root) ?? []) peer.close();
    this.#peers.delete(root);
  }

  runner(instance: Instance): Runner {
    const node = this.node(instance.agentRoot);
    return {
      run: () => Promise.resolve({ exitCode: 0, stdout: "", stderr: "" }),
      startAgent: (plan) => {
        node.config = Buffer.from(plan.config).toString();
        if (!node.isRunning) {
          node.starts++;
          node.bundle = plan.bundle.hash;
        }
        node.isRunning = true;
        const config = readConfig(node);
        if (config.index > 0)
          this.#headOf(config).push({ type: "node", index: config.index, isAlive: true, reason: "" });
        return Promise.resolve();
      },
      connectAgent: (root) => this.#connect(root),
      close: () => Promise.resolve(),
    };
  }

  #headOf(config: NodeConfig): FakeHead {
    return this.head(config.clusterNameOnCloud);
  }

  #connect(root: string): Promise<Duplex> {
    const node = this.node(root);
    if (this.unreachable.has(root)) return Promise.reject(new AgentError(`${root} cannot be reached.`));
    if (!node.isRunning) return Promise.reject(new AgentNotRunningError(`No agent listens in ${root}.`));
    const [ours, theirs] = duplexPair();
    const config = readConfig(node);
    const peer = new AgentPeer(duplexOverStream(theirs), {
      role: "listener",
      keepaliveMs: 0,
      methods: this.#methods(node, config),
      streams: this.#streams(config),
    });
    const peers = this.#peers.get(root) ?? new Set();
    peers.add(peer);
    this.#peers.set(root, peers);
    return Promise.resolve(ours);
  }

  #methods(node: FakeNode, config: NodeConfig): MethodHandlers<AgentMethods> {
    const head = this.#headOf(config);
    const nodes = () =>
      Array.from({ length: config.numNodes }, (_, index) => {
        const root = node.root.replace(/\/\d+$/, `/${index}`);
        const { isRunning, bundle } = this.node(root);
        return {
          index,
          ip: `n${index}`,
          resources: config.resources,
          isAlive: isRunning,
          ...(bundle === undefined ? {} : { bundle }),
        };
      });
    return {
      hello: async ({ protocol }) => ({
        protocol,
        version: "fake",
        incarnation: String(node.starts),
        clusterName: config.clusterName,
        index: config.index,
        workerPort: 7000,
        nodes: config.index === 0 ? nodes() : nodes().filter((info) => info.index === config.index),
      }),
      submit: async (params) => submit(head, params),
      queue: async (params) => ({
        jobs: head.jobs
          .filter((job) => params.jobIds?.includes(job.jobId) ?? true)
          .filter((job) => (params.userHash ?? job.userHash) === job.userHash)
          .filter((job) => params.skipFinished !== true || isActive(job.status))
          .reverse()
          .slice(0, params.limit),
      }),
      cancel: async (params) => ({ jobIds: cancelJobs(head, params.jobIds, params.userHash) }),
      set_autostop: async (params) => {
        head.autostop = params;
        return {};
      },
      status: async () => ({
        lastActiveMs: 0,
        isIdle: true,
        autostop: null,
        isAutostopping: head.isAutostopping,
        nodes: nodes(),
      }),
      list_log_files: async () => ({ files: [] }),
      mount_states: async () => ({ mounts: [] }),
      flush_workers: async ({ from }) => {
        if (head.unsent === undefined) throw new AgentPeerError("UNKNOWN_METHOD", "no such method");
        return { lost: head.unsent.filter(({ node: index }) => index >= from) };
      },
      fail_unfinished: async () => ({ jobIds: finish(head, "FAILED_DRIVER") }),
      shutdown: async (params) => {
        head.shutdowns.push(params);
        await head.onShutdown?.();
        if (params.jobs === "kill") finish(head, "FAILED_DRIVER");
        // The answer leaves before the process does.
        setImmediate(() => {
          // An agent that keeps its jobs leaves the other nodes alone.
          if (params.jobs === "keep") {
            this.kill(node.root);
            return;
          }
          for (let index = 0; index < config.numNodes; index++) this.kill(node.root.replace(/\/\d+$/, `/${index}`));
        });
        return {};
      },
    };
  }

  #streams(config: NodeConfig): StreamHandlers<AgentStreams> {
    const head = this.#headOf(config);
    return {
      watch: async ({ afterSeq }, stream) => {
        stream.start({ incarnation: "1", seq: head.events.length });
        let seq = afterSeq;
        while (!stream.signal.aborted) {
          for (const event of head.events.slice(seq)) {
            await stream.event(event);
            seq = event.seq;
          }
          await new Promise<void>((resolve) => {
            const wake = (): void => {
              head.watchers.delete(wake);
              resolve();
            };
            head.watchers.add(wake);
            stream.signal.addEventListener("abort", wake, { once: true });
          });
        }
        throw new AgentPeerError("CLOSED", "The caller is gone.");
      },
      put_files: async (params, stream) => {
        const need = params.entries.flatMap((entry, index) =>
          entry.kind === "file" && !head.received.has(`${params.dest}/${entry.path}`) ? [index] : [],
        );
        stream.start({ need, parts: [] });
        const missing = new Set(need);
        for await (const block of decodeBlocks(stream.chunks)) {
          const content = block.isCompressed ? zstdDecompressSync(block.body) : block.body;
          let at = 0;
          for (const index of block.files) {
            const entry = params.entries[index];
            if (entry === undefined || !missing.delete(index)) throw new AgentPeerError("BAD_PARAMS", "Not asked for.");
            const bytes = content.subarray(at, at + entry.size);
            head.received.set(`${params.dest}/${entry.path}`, Buffer.from(bytes).toString());
            at += entry.size;
          }
        }
        if (missing.size > 0) throw new AgentPeerError("BAD_PARAMS", `${missing.size} files did not come.`);
        head.syncs.push(params);
        return {};
      },
      exec: async (params, stream) => {
        stream.start({});
        await stream.send(Buffer.from(`ran on ${params.node}\nabc123\n`));
        return { exitCode: 0 };
      },
      logs: async (params, stream) => {
        const job = params.jobId === null ? head.jobs.at(-1) : head.jobs.find((one) => one.jobId === params.jobId);
        if (job === undefined) {
          if (params.jobId !== null) throw new AgentPeerError("JOB_NOT_FOUND", "no such job");
          stream.start({ jobId: null, status: null, offset: 0 });
          return { status: null, offset: 0 };
        }
        const text = Buffer.from(`log of ${job.jobId}\n`);
        const offset = params.offset ?? 0;
        stream.start({ jobId: job.jobId, status: job.status, offset });
        await stream.send(text.subarray(offset));
        return { status: job.status, offset: text.length };
      },
    };
  }
}

function readConfig(node: FakeNode): NodeConfig {
  if (node.config === undefined) throw new AgentError(`${node.root} has no node.json.`);
  return JSON.parse(node.config) as NodeConfig;
}

function isActive(status: JobStatus): boolean {
  return ["INIT", "PENDING", "SETTING_UP", "RUNNING"].includes(status);
}

function submit(head: FakeHead, params: SubmitParams): { jobId: number; logDir: string } {
  const known = head.submissions.findIndex((one) => one.key === params.key);
  const jobId = known === -1 ? head.jobs.length + 1 : known + 1;
  const logDir = `~/sky_logs/${jobId}-${params.name}`;
  if (known !== -1) return { jobId, logDir };
  head.submissions.push(params);
  head.jobs.push({
    jobId,
    name: params.name,
    userHash: params.userHash,
    userName: params.userName,
    submittedAt: 1.5,
    startAt: 2.5,
    endAt: null,
    status: "RUNNING",
    resourcesText: params.resourcesText,
    runTimestamp: params.runTimestamp,
    logDir,
    numNodes: params.numNodes,
    exitCodes: null,
    metadata: params.metadata,
  });
  return { jobId, logDir };
}

function cancelJobs(head: FakeHead, ids: readonly number[] | undefined, userHash: string | undefined): number[] {
  return head.jobs.flatMap((job, index) => {
    const isMeant = (ids?.includes(job.jobId) ?? true) && (userHash ?? job.userHash) === job.userHash;
    if (!isMeant || !isActive(job.status)) return [];
    head.jobs[index] = { ...job, status: "CANCELLED" };
    return [job.jobId];
  });
}

function finish(head: FakeHead, status: JobStatus): number[] {
  return head.jobs.flatMap((job, index) => {
    if (!isActive(job.status)) return [];
    head.jobs[index] = { ...job, status };
    return [job.jobId];
  });
}
