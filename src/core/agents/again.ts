import { AgentPeerError, isConnectionLoss } from "../../shared/agent/peer-error.ts";
import type { AgentPeer } from "../../shared/agent/peer.ts";
import { AgentError, AgentNotRunningError } from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";

export interface AgainOptions<T> {
  readonly clusterName: string;
  /** The connection to begin with; absent: one is opened. */
  readonly agent?: AgentPeer;
  /** Whether the cluster was reached a moment ago. One that never was is waited for only then. */
  readonly wasReached?: boolean;
  /** May be repeated from its beginning: what it changes has a key. */
  readonly work: (agent: AgentPeer) => Promise<T>;
  /** Asked before each repetition; throws when there is nothing to come back to. */
  readonly check?: () => Promise<unknown>;
  /** How long the way to the cluster may be broken; default two minutes. */
  readonly patienceMs?: number;
}

const PATIENCE_MS = 120_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;

/**
 * Does work over the connection to a cluster's head, and again over the next one whenever it is lost: sshd was restarted, the network
 * was away, the agent was killed. Throws what the work throws otherwise, and why the cluster cannot be reached when that lasts.
 */
export async function workAgain<T>(
  options: AgainOptions<T>,
  context: Pick<OperationContext, "agents" | "clock" | "signal">,
): Promise<T> {
  const { clusterName, work } = options;
  const { agents, clock, signal } = context;
  let { agent } = options;
  let deadline = clock.now() + (options.patienceMs ?? PATIENCE_MS);
  let wasReached = options.wasReached ?? agent !== undefined;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)) {
    let isConnected = agent !== undefined;
    try {
      agent ??= await agents.connect(clusterName, { signal });
      isConnected = true;
      return await work(agent);
    } catch (error) {
      const isLost = isConnectionLoss(error) || (!isConnected && wasReached && isUnreachable(error));
      if (!isLost || signal.aborted || clock.now() > deadline) throw error;
    }
    if (isConnected) {
      pauseMs = FIRST_PAUSE_MS;
      deadline = clock.now() + (options.patienceMs ?? PATIENCE_MS);
    }
    wasReached = true;
    agent = undefined;
    await clock.sleep(pauseMs, { signal });
    await options.check?.();
  }
}

/** Within this time the server has started an agent again that was killed. */
const REPAIR_PATIENCE_MS = 20_000;
const REPAIR_LOOK_MS = 250;

/** Connects to a cluster's head, also while its agent, which was killed a moment ago, is being started again. */
export async function connectSoon(
  clusterName: string,
  { agents, clock, signal }: Pick<OperationContext, "agents" | "clock" | "signal">,
): Promise<AgentPeer> {
  const deadline = clock.now() + REPAIR_PATIENCE_MS;
  for (;;) {
    try {
      return await agents.connect(clusterName, { signal });
    } catch (error) {
      if (!(error instanceof AgentNotRunningError) || clock.now() > deadline) throw error;
    }
    await clock.sleep(REPAIR_LOOK_MS, { signal });
  }
}

/** What the agent itself answers is final. */
function isUnreachable(error: unknown): boolean {
  return error instanceof AgentError && !(error instanceof AgentPeerError);
}
