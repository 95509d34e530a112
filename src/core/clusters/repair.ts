import type { ClusterRow } from "../../db/queries/clusters.ts";
import { AgentError, AgentNotRunningError } from "../../shared/errors.ts";
import type { AgentConnections } from "../operation.ts";
import type { Cloud, CloudContext, Instance } from "../ports/cloud.ts";
import { bringUp } from "../provision/bring-up.ts";
import { ensureClusterToken } from "../provision/cluster-secret.ts";
import { clusterRef, toCluster, type Cluster } from "./cluster.ts";
import { OWN, refreshCluster, refreshLocked, type RefreshContext } from "./refresh.ts";
import { recordEvent } from "./transition.ts";

export interface TendContext extends RefreshContext {
  /** Path of the agent's program; without it nothing is repaired. */
  readonly agentBundle?: string;
}

/** Whoever wants to work on the cluster waits no longer than this for a repair. */
const REPAIR_MS = 20_000;

/**
 * Looks at a cluster as `refreshCluster` does, and starts agents again that should run and do not: killed for memory, or gone with a
 * reboot of a machine that the cloud takes for the same. Tasks that still run are taken over. A node that does not answer is left
 * alone: unreachable is not dead.
 */
export async function tendCluster(
  clusterName: string,
  context: TendContext,
  cloudContext: CloudContext,
): Promise<ClusterRow | undefined> {
  const row = await refreshCluster(clusterName, context, cloudContext);
  const { agentBundle } = context;
  if (row === undefined || agentBundle === undefined || !isToRepair(row)) return row;
  const cloud = await context.clouds.load(row.cloud);
  const patient: Patient = { cluster: toCluster(row), cloud };
  if (!(await lacksAgents(patient, context.agents, cloudContext))) return row;
  const release = await context.locks.tryAcquire(clusterName, context.requestId ?? OWN.repair);
  if (release === undefined) return row;
  try {
    await restartAgents(patient, { ...context, agentBundle }, cloudContext);
    const { looks: _, ...afterRepair } = context;
    return await refreshLocked(row, afterRepair, cloudContext);
  } finally {
    release();
  }
}

interface Patient {
  readonly cluster: Cluster;
  readonly cloud: Cloud;
}

function isToRepair({ status, phase, secret_path }: ClusterRow): boolean {
  return status === "UP" && (phase === "unreachable" || phase === "degraded") && secret_path !== null;
}

/** Whether there is a node that answers and runs no agent. */
async function lacksAgents(
  { cluster, cloud }: Patient,
  agents: AgentConnections,
  cloudContext: CloudContext,
): Promise<boolean> {
  const suspects = await findSuspects(cluster, agents, cloudContext.signal);
  const answers = await Promise.all(
    suspects.map(async (instance) => {
      const runner = await cloud.runner(instance, clusterRef(cluster.row), cloudContext);
      try {
        (await runner.connectAgent(instance.agentRoot, { signal: cloudContext.signal })).destroy();
        return false;
      } catch (error) {
        if (!(error instanceof AgentError)) throw error;
        return error instanceof AgentNotRunningError;
      }
    }),
  );
  return answers.includes(true);
}

/** Nodes from which nothing is heard. As long as that is the head, nothing is known of the others. */
async function findSuspects(
  { row, instances }: Cluster,
  agents: AgentConnections,
  signal: AbortSignal,
): Promise<readonly Instance[]> {
  // The look that has just been taken has asked the head in vain.
  if (row.phase === "unreachable") return instances.slice(0, 1);
  try {
    const head = await agents.connect(row.name, { signal });
    const { nodes } = await head.call("status", {}, { signal });
    return instances.filter(({ index }) => !nodes.some((node) => node.index === index && node.isAlive));
  } catch (error) {
    if (error instanceof AgentError) return instances.slice(0, 1);
    throw error;
  }
}

async function restartAgents(
  { cluster, cloud }: Patient,
  context: TendContext & { readonly agentBundle: string },
  cloudContext: CloudContext,
): Promise<void> {
  const { row } = cluster;
  const deadline = AbortSignal.timeout(REPAIR_MS);
  const signal = AbortSignal.any([cloudContext.signal, deadline]);
  const token = ensureClusterToken(row.secret_path ?? "");
  try {
    await bringUp({ cluster, cloud, token }, { ...context, cloudContext: { ...cloudContext, signal } });
    await recordEvent(context, row, { type: "DEBUG", to: row.status, reason: "Agents were started again." });
  } catch (error) {
    // The next look tries again.
    if (!(error instanceof AgentError) && (!deadline.aborted || cloudContext.signal.aborted)) throw error;
  }
}
