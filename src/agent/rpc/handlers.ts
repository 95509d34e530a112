import { join } from "node:path";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { MethodHandlers, ServedStream, StreamHandlers } from "../../shared/agent/peer-types.ts";
import {
  AGENT_PROTOCOL_VERSION,
  type AgentMethods,
  type AgentStreams,
  type FetchParams,
  type FetchResult,
  type HelloResult,
  type ShutdownParams,
  type ShutdownResult,
  type StatusResult,
} from "../../shared/agent/protocol.ts";
import type { Autostop } from "../autostop/autostop.ts";
import type { EventLog } from "../jobs/job-events.ts";
import { nodeName } from "../jobs/job-text.ts";
import type { JobQueue } from "../jobs/job-queue.ts";
import { streamLogs } from "../logs/stream-logs.ts";
import type { ClusterNode } from "../node/cluster-node.ts";
import { expandHome, type AgentPaths } from "../node/paths.ts";
import { serveSsh } from "../ssh/ssh-door.ts";
import { fanOutSync } from "../sync/fan-out.ts";
import { passOn, type PassOnOptions } from "../sync/pass-on.ts";
import type { Replies } from "./replies.ts";

export interface HandlerOptions {
  readonly hello: () => Omit<HelloResult, "protocol">;
  readonly status: () => StatusResult;
  readonly queue: JobQueue;
  readonly events: EventLog;
  readonly incarnation: string;
  readonly paths: AgentPaths;
  readonly autostop: Autostop;
  readonly replies: Replies;
  readonly nodes: () => readonly ClusterNode[];
  /** Brings a small file to the head's memory. */
  readonly download: PassOnOptions["download"];
  readonly shutdown: (params: ShutdownParams) => Promise<ShutdownResult>;
  /** Waits for what workers from an index on have not sent yet. */
  readonly flushWorkers: (from: number, signal: AbortSignal) => Promise<ShutdownResult>;
}

/** Events handed over at once to a slow watcher. */
const EVENT_BATCH = 100;

/** What the agent of a head answers to the API server. */
export function createMethods(options: HandlerOptions): MethodHandlers<AgentMethods> {
  const { queue, replies, autostop } = options;
  return {
    hello: async ({ protocol }) => ({ protocol: Math.min(protocol, AGENT_PROTOCOL_VERSION), ...options.hello() }),
    submit: (params) => queue.submit(params),
    queue: async (params) => ({ jobs: queue.list(params) }),
    cancel: (params) => replies.once(params.key, async () => ({ jobIds: await queue.cancel(params) })),
    set_autostop: (params) =>
      replies.once(params.key, async () => {
        autostop.set(params);
        return {};
      }),
    status: async () => options.status(),
    list_log_files: async ({ jobIds }) => {
      const jobs = queue.list(jobIds === undefined ? {} : { jobIds });
      const files = await Promise.all(options.nodes().map((node) => node.listLogFiles(jobs)));
      return { files: files.flat() };
    },
    prepare_container: async (spec) => {
      await Promise.all(options.nodes().map((node) => naming(node, () => node.prepareContainer(spec))));
      return {};
    },
    shutdown: (params) => options.shutdown(params),
    flush_workers: ({ from }, { signal }) => options.flushWorkers(from, signal),
    fetch: (params, { signal }) => fetchOnNodes(params, options.nodes(), { download: options.download, signal }),
    mount: async ({ mounts, mounters, acceptsOld = false }) => {
      const nodes = options.nodes();
      const outcomes = await Promise.allSettled(
        nodes.map((node) => naming(node, () => node.mount({ mounts, mounters, acceptsOld }))),
      );
      throwWorst(nodes, outcomes);
      return {};
    },
    lend_keys: async (params) => {
      await Promise.all(options.nodes().map((node) => node.lendKeys(params)));
      return {};
    },
    mount_states: async () => {
      const states = await Promise.all(
        options.nodes().map(async (node) => {
          const mounts = (await node.mountStates()) ?? [];
          return mounts.map((mount) => ({ ...mount, node: node.index }));
        }),
      );
      return { mounts: states.flat() };
    },
    fail_unfinished: ({ key }) => replies.once(key, async () => ({ jobIds: await queue.failUnfinished() })),
  };
}

export function createStreams(options: HandlerOptions): StreamHandlers<AgentStreams> {
  const { queue, events, paths } = options;
  const findNode = (index: number): ClusterNode => {
    const node = options.nodes().find((one) => one.index === index);
    if (node === undefined) throw new AgentPeerError("BAD_PARAMS", `The cluster has no node ${index}.`);
    return node;
  };
  return {
    logs: (params, stream) =>
      streamLogs(params, stream, {
        findJob: (jobId) => queue.find(jobId),
        findLog: (jobId) => queue.findLog(jobId),
        logPath: (job) => join(expandHome(job.record.logDir, paths.home), "run.log"),
        onJobChange: (listener) => events.onEvent(listener),
      }),
    watch: ({ afterSeq, incarnation }, stream) => {
      const isSameLife = incarnation === undefined || incarnation === options.incarnation;
      return watch(isSameLife && afterSeq <= events.seq ? afterSeq : 0, stream, options);
    },
    exec: async (params, stream) => {
      const node = findNode(params.node);
      stream.start({});
      const exitCode = await node.exec({
        script: params.script,
        env: params.env,
        ...(params.timeoutSeconds === undefined ? {} : { timeoutSeconds: params.timeoutSeconds }),
        onOutput: (bytes) => stream.send(bytes),
        signal: stream.signal,
      });
      return { exitCode };
    },
    ssh: ({ node }, stream) => serveSsh(findNode(node), stream),
    read_log_file: async (params, stream) => {
      const job = queue.find(params.jobId);
      if (job === undefined) {
        throw new AgentPeerError("JOB_NOT_FOUND", `Job ${params.jobId} not found (see \`sky queue\`).`);
      }
      const node = findNode(params.node);
      const files = await node.listLogFiles([job.record]);
      const file = files.find((one) => one.path === params.path);
      if (file === undefined) throw new AgentPeerError("JOB_NOT_FOUND", `There is no log file ${params.path}.`);
      stream.start({ size: file.size });
      const path = `${job.record.logDir}/${params.path}`;
      for await (const bytes of node.readFile(path, params.offset, stream.signal)) await stream.send(bytes);
      return {};
    },
    put_files: (params, stream) => fanOutSync(params, stream, options.nodes()),
  };
}

/** What the server can do nothing about comes first; of nodes that lack the program all are told. */
function throwWorst(nodes: readonly ClusterNode[], outcomes: readonly PromiseSettledResult<unknown>[]): void {
  const failures = outcomes.flatMap((one, index) =>
    one.status === "rejected" ? [{ error: one.reason as Error, node: nodes[index]?.index ?? 0 }] : [],
  );
  const [first] = failures;
  if (first === undefined) return;
  const worst = failures.find(({ error }) => !lacksProgram(error));
  if (worst !== undefined) throw worst.error;
  const { message, hint } = first.error as AgentPeerError;
  throw new AgentPeerError("MOUNTER_MISSING", message, {
    cause: first.error,
    nodes: failures.map(({ node }) => node),
    ...(hint === undefined ? {} : { hint }),
  });
}

function lacksProgram(error: Error): boolean {
  return error instanceof AgentPeerError && error.agentCode === "MOUNTER_MISSING";
}

const NAMED: ReadonlySet<string> = new Set([
  "CONTAINER_FAILED",
  "FETCH_FAILED",
  "FETCH_REFUSED",
  "MOUNT_FAILED",
  "MOUNT_DENIED",
  "MOUNT_UNSENT",
  "MOUNTER_MISSING",
  "NO_SPACE",
]);

async function fetchOnNodes(
  params: FetchParams,
  nodes: readonly ClusterNode[],
  options: Omit<PassOnOptions, "nodes">,
): Promise<FetchResult> {
  const { signal } = options;
  const [head] = nodes;
  if (head === undefined) throw new AgentPeerError("NODE_UNREACHABLE", "The cluster has no nodes.");
  const passed = await naming(head, () => passOn(params, { ...options, nodes }));
  const { key: _key, ...wish } = params;
  const fetch = async (node: ClusterNode): Promise<FetchResult> => {
    const got = passed.receivers.get(node);
    if (got === undefined) return node.fetch(wish, signal);
    const none = { files: 0, bytes: 0, unchanged: 0 };
    const own = passed.rest.length === 0 ? none : await node.fetch({ ...wish, files: passed.rest }, signal);
    const passedFiles = wish.files.length - passed.rest.length;
    return {
      files: wish.files.length,
      bytes: own.bytes + got.bytes,
      unchanged: own.unchanged + passedFiles - got.files,
    };
  };
  // Nothing is left to run in the background when one of them fails.
  const outcomes = await Promise.allSettled(nodes.map((node) => naming(node, () => fetch(node))));
  throwWorst(nodes, outcomes);
  const results = outcomes.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  return results.reduce((most, one) => (one.bytes > most.bytes ? one : most));
}

/** Says by name which of several nodes refused. */
async function naming<T>(node: ClusterNode, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof AgentPeerError) || !NAMED.has(error.agentCode)) throw error;
    const { message, hint, agentCode } = error;
    const options = hint === undefined ? { cause: error } : { cause: error, hint };
    throw new AgentPeerError(agentCode, `On ${nodeName(node.index)}: ${message}`, options);
  }
}

async function watch(
  afterSeq: number,
  stream: ServedStream<{ readonly incarnation: string; readonly seq: number }>,
  options: HandlerOptions,
): Promise<never> {
  const { events, incarnation } = options;
  stream.start({ incarnation, seq: events.seq });
  let seq = afterSeq;
  let wake: (() => void) | undefined;
  const notify = (): void => wake?.();
  const stop = events.onEvent(notify);
  stream.signal.addEventListener("abort", notify, { once: true });
  try {
    while (!stream.signal.aborted) {
      const batch = events.after(seq, EVENT_BATCH);
      for (const event of batch) {
        await stream.event(event);
        seq = event.seq;
      }
      if (batch.length > 0) continue;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    stop();
  }
  throw new AgentPeerError("CLOSED", "The caller is gone.");
}
