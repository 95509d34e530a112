/**
 * Stands in for the agents of many clusters that do nothing: one process for all of them, because a thousand real ones take 45 GB. They
 * speak the agent's protocol as far as a server asks it of a cluster that nobody uses.
 * `node bench/idle-agents.ts FILE BUNDLE`: a JSON list of agents, and the agent's program; prints `ready` when all listen.
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import { readBundle } from "../src/platform/agent-bundle.ts";
import { duplexOverStream } from "../src/shared/agent/byte-duplex.ts";
import { AgentPeer } from "../src/shared/agent/peer.ts";
import type { MethodHandlers, StreamHandlers } from "../src/shared/agent/peer-types.ts";
import type { AgentMethods, AgentStreams, NodeInfo } from "../src/shared/agent/protocol.ts";
import { prepareSocketPath } from "../src/agent/rpc/listener.ts";

export interface IdleAgent {
  readonly clusterName: string;
  readonly root: string;
}

async function listen({ clusterName, root }: IdleAgent, bundle: string): Promise<void> {
  const resources = { cpus: 1, memoryGib: 1, accelerators: {} };
  const nodes: readonly NodeInfo[] = [{ index: 0, ip: "127.0.0.1", resources, isAlive: true, bundle }];
  const incarnation = clusterName;
  const methods: MethodHandlers<AgentMethods> = {
    hello: () =>
      Promise.resolve({ protocol: 1, version: "bench", incarnation, clusterName, index: 0, workerPort: 0, nodes }),
    status: () =>
      Promise.resolve({ lastActiveMs: Date.now(), isIdle: true, autostop: null, isAutostopping: false, nodes }),
  };
  const streams: StreamHandlers<AgentStreams> = {
    watch: async (_params, stream) => {
      stream.start({ incarnation, seq: 0 });
      await once(stream.signal, "abort");
      throw new Error("Nobody listens any more.");
    },
  };
  const server = createServer((socket) => {
    const options = { role: "listener", methods, streams, onHandlerError: () => undefined } as const;
    const peer = new AgentPeer(duplexOverStream(socket), options);
    peer.closed.catch(() => undefined);
  });
  server.listen(prepareSocketPath(root));
  await once(server, "listening");
}

if (import.meta.main) {
  const [file = "", program = ""] = process.argv.slice(2);
  const agents = JSON.parse(readFileSync(file, "utf8")) as readonly IdleAgent[];
  const { hash } = readBundle(program);
  for (const agent of agents) await listen(agent, hash);
  console.log("ready");
}
