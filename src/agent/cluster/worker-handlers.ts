import type { MethodHandlers, StreamHandlers } from "../../shared/agent/peer-types.ts";
import { hasTerminal } from "../autostop/terminals.ts";
import type { InsideNode } from "../inside/files.ts";
import type { LocalNode } from "../node/local-node.ts";
import { serveSsh } from "../ssh/ssh-door.ts";
import { decodeBlocks } from "../sync/decode-blocks.ts";
import type { StoppedNode, StopNode, WorkerMethods, WorkerStreams } from "./worker-protocol.ts";

export interface WorkerHandlerOptions {
  readonly node: LocalNode;
  readonly stop: (params: StopNode) => Promise<StoppedNode>;
  readonly onNodes: (nodes: readonly InsideNode[]) => void;
}

/** What a worker answers to its head: the same node as the head's own, over the wire. */
export function createWorkerMethods({ node, stop, onNodes }: WorkerHandlerOptions): MethodHandlers<WorkerMethods> {
  return {
    start_task: async (spec) => ({ pid: await node.startTask(spec) }),
    wait_task: ({ id }, { signal }) => node.waitTask(id, { signal }),
    kill_task: async ({ id, graceMs }) => {
      await node.killTask(id, graceMs);
      return {};
    },
    forget_job: async ({ jobId }) => {
      await node.forgetJob(jobId);
      return {};
    },
    list_log_files: async ({ jobs }) => ({ files: await node.listLogFiles(jobs) }),
    has_terminal: async () => ({ hasTerminal: hasTerminal() }),
    prepare_container: async (spec) => {
      await node.prepareContainer(spec);
      return {};
    },
    fetch: (wish, { signal }) => node.fetch(wish, signal),
    mount: async (params) => {
      await node.mount(params);
      return {};
    },
    lend_keys: async (params) => {
      await node.lendKeys(params);
      return {};
    },
    mount_states: async () => ({ mounts: await node.mountStates() }),
    flush_mounts: async (params, { signal }) => {
      await node.flushMounts(params, signal);
      return {};
    },
    last_flush: async () => ({ lost: await node.lastFlush() }),
    set_nodes: ({ nodes }) => {
      onNodes(nodes);
      return Promise.resolve({});
    },
    stop_node: (params) => stop(params),
  };
}

export function createWorkerStreams({ node }: Pick<WorkerHandlerOptions, "node">): StreamHandlers<WorkerStreams> {
  return {
    tail_task: async ({ id, logPath, offset }, stream) => {
      stream.start({});
      for await (const chunk of node.tailTask(id, { logPath, offset, signal: stream.signal })) await stream.send(chunk);
      return {};
    },
    read_range: async ({ path, from, to }, stream) => {
      stream.start({});
      const bytes = await node.readRange(path, from, to);
      if (bytes !== undefined) await stream.send(bytes);
      return { isComplete: bytes !== undefined };
    },
    read_file: async ({ path, offset }, stream) => {
      stream.start({});
      for await (const chunk of node.readFile(path, offset, stream.signal)) await stream.send(chunk);
      return {};
    },
    exec: async (params, stream) => {
      stream.start({});
      const exitCode = await node.exec({
        ...params,
        onOutput: (bytes) => stream.send(bytes),
        signal: stream.signal,
      });
      return { exitCode };
    },
    ssh: (_, stream) => serveSsh(node, stream),
    put_files: async (params, stream) => {
      const receiver = await node.sync(params, stream.signal);
      stream.start({ need: receiver.need, parts: receiver.parts, isDownload: receiver.isDownload ?? false });
      try {
        for await (const block of decodeBlocks(stream.chunks)) await receiver.write(block);
        await receiver.finish();
      } catch (error) {
        receiver.abort(error);
        throw error;
      }
      return {};
    },
  };
}
