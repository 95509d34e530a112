import type { AgentBundle } from "../../platform/agent-bundle.ts";
import { duplexOverStream } from "../../shared/agent/byte-duplex.ts";
import { AgentPeer } from "../../shared/agent/peer.ts";
import { AGENT_PROTOCOL_VERSION, type HelloResult, type NodeInfo } from "../../shared/agent/protocol.ts";
import { AgentError } from "../../shared/errors.ts";
import { orAborted } from "../../shared/or-aborted.ts";
import type { Instance } from "../ports/cloud.ts";
import type { Runner } from "../ports/runner.ts";

/** How long an agent may take to end; it waits for nothing. */
const LEAVE_MS = 15_000;
/** How long a connected agent may take to say hello. One that hangs has an open socket all the same. */
const HELLO_MS = 10_000;

/** Whether the node's agent runs another program than ours. An agent that does not tell is an old one. */
export function isOutdated(node: NodeInfo | undefined, bundle: AgentBundle): boolean {
  return node?.bundle !== bundle.hash;
}

/** Whether some connected node runs another program than ours. */
export function hasOutdated(hello: HelloResult, bundle: AgentBundle): boolean {
  return hello.nodes.some((node) => node.isAlive && isOutdated(node, bundle));
}

/** Throws AgentError when the agent is silent. */
export async function greet(agent: AgentPeer, signal: AbortSignal): Promise<HelloResult> {
  const deadline = AbortSignal.timeout(HELLO_MS);
  try {
    const limit = AbortSignal.any([signal, deadline]);
    return await agent.call("hello", { protocol: AGENT_PROTOCOL_VERSION }, { signal: limit });
  } catch (error) {
    if (!deadline.aborted || signal.aborted || error instanceof AgentError) throw error;
    throw new AgentError(`The agent has not said a word for ${HELLO_MS / 1000} seconds.`, { cause: error });
  }
}

/** Ends an agent and leaves its tasks running, for the next one to take over. Resolves when its place is free. */
export async function retire(agent: AgentPeer, key: string, signal: AbortSignal): Promise<void> {
  const deadline = AbortSignal.timeout(LEAVE_MS);
  const limit = AbortSignal.any([signal, deadline]);
  try {
    await agent.call("shutdown", { key, jobs: "keep" }, { signal: limit });
    await orAborted(agent.closed, limit);
  } catch (error) {
    if (agent.isClosed) return;
    if (!deadline.aborted || signal.aborted) throw error;
    throw new AgentError(`The agent did not make room for its successor within ${LEAVE_MS / 1000} seconds.`, {
      cause: error,
    });
  }
}

/** Ends the agent of a worker if it runs another program than ours; one that runs ours, or none, is left alone. */
export async function retireOutdatedWorker(
  runner: Runner,
  node: { readonly instance: Instance; readonly bundle: AgentBundle; readonly key: string },
  signal: AbortSignal,
): Promise<void> {
  const duplex = await runner.connectAgent(node.instance.agentRoot, { signal }).catch((error: unknown) => {
    if (error instanceof AgentError) return undefined;
    throw error;
  });
  if (duplex === undefined) return;
  const agent = new AgentPeer(duplexOverStream(duplex), { role: "dialer" });
  try {
    const hello = await greet(agent, signal);
    if (isOutdated(hello.nodes[0], node.bundle)) await retire(agent, node.key, signal);
  } finally {
    agent.close();
  }
}
