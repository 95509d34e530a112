import type { AgentPeer } from "../../shared/agent/peer.ts";
import type { OperationContext } from "../operation.ts";
import { bringUp } from "../provision/bring-up.ts";
import { ensureClusterToken, secretPath } from "../provision/cluster-secret.ts";
import { readBundle } from "../../platform/agent-bundle.ts";
import { greet, hasOutdated } from "../provision/renew.ts";
import { cloudContext, loadCloud, type Cluster } from "./cluster.ts";
import { recordEvent } from "./transition.ts";

/**
 * Sees to it that the agents of a cluster that is up are of this release; jobs go on meanwhile. Answers with the connection to the
 * head, which is another one after an upgrade. The caller holds the cluster's lock.
 */
export async function ensureCurrentAgents(
  cluster: Cluster,
  agent: AgentPeer,
  context: OperationContext,
): Promise<AgentPeer> {
  const hello = await greet(agent, context.signal);
  if (!hasOutdated(hello, readBundle(context.agentBundle))) return agent;
  const { row } = cluster;
  const cloud = await loadCloud(context, cluster);
  await context.effect("renew-agents", async () => {
    const token = ensureClusterToken(secretPath(context.stateDir, row.cluster_hash));
    await bringUp({ cluster, cloud, token }, { ...context, cloudContext: cloudContext(context) });
  });
  await recordEvent(context, row, { type: "DEBUG", to: row.status, reason: "The agents were upgraded." });
  return context.agents.connect(row.name, { signal: context.signal });
}
