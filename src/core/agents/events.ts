import type { Kysely } from "kysely";
import type { Database } from "../../db/schema.ts";
import type { AgentEvent, LostWithNode } from "../../shared/agent/protocol.ts";
import type { Clock } from "../../shared/clock.ts";
import { findCluster, type ClusterRow } from "../../db/queries/clusters.ts";
import { lostWithNode } from "../clusters/messages.ts";
import { openRunLog } from "../clusters/provision-log.ts";
import { ownCloudContext } from "../clusters/refresh-all.ts";
import { tendCluster } from "../clusters/repair.ts";
import { moveTo, recordEvent } from "../clusters/transition.ts";
import type { ClusterLocks } from "../operation.ts";
import type { CloudRegistry } from "../ports/cloud.ts";
import { bringUp } from "../provision/bring-up.ts";
import { ensureClusterToken } from "../provision/cluster-secret.ts";
import { readBundle } from "../../platform/agent-bundle.ts";
import { hasOutdated } from "../provision/renew.ts";
import type { AgentPeer } from "../../shared/agent/peer.ts";
import { AgentError } from "../../shared/errors.ts";
import type { MountKeys } from "../storage/mount-keys.ts";
import { AgentPool, type MetAgent } from "./pool.ts";

export interface AgentsOptions {
  readonly db: Kysely<Database>;
  readonly clouds: CloudRegistry;
  readonly clock: Clock;
  readonly locks: ClusterLocks;
  /** The server's own config; empty when absent. */
  readonly config?: () => Promise<Readonly<Record<string, unknown>>>;
  /** Path of the agent's program; agents that run another one are replaced when the server meets them. */
  readonly agentBundle?: string;
  readonly mountKeys: MountKeys;
  readonly onError: (clusterName: string, error: unknown) => void;
}

/** How long a worker's agent may take to connect to its head again by itself. */
const WORKER_RETURN_MS = 3000;

/** For looks at what an agent has told. */
const PATIENT = { isPatient: true } as const;

/** The pool of connections of a server, whose rows follow what the agents report. */
export function createAgentPool(options: AgentsOptions): AgentPool {
  const { db, clock } = options;
  const store = { db, clock };
  const { agentBundle } = options;
  const pool: AgentPool = new AgentPool({
    ...options,
    ...(agentBundle === undefined ? {} : { renew: (met) => renewAgents(met, agentBundle, options) }),
    onConnected: (clusterName, agent) => options.mountKeys.follow(clusterName, agent),
    onEvent: async (clusterName, event, later) => {
      await applyEvent(clusterName, event, store);
      if (event.type === "preempting") later(async (signal) => void (await tend(clusterName, signal, PATIENT)));
      if (event.type !== "node" || event.isAlive) return;
      later(async (signal) => {
        // A worker that only lost its connection is back by then.
        await clock.sleep(WORKER_RETURN_MS, { signal });
        await tend(clusterName, signal, PATIENT);
      });
    },
    onLost: async (clusterName, signal) => {
      const current = await tend(clusterName, signal);
      return current !== undefined && current.status !== "STOPPED";
    },
  });
  const tend = async (
    clusterName: string,
    signal: AbortSignal,
    more?: typeof PATIENT,
  ): Promise<ClusterRow | undefined> => {
    const row = await findCluster(db, clusterName);
    if (row === undefined) return undefined;
    const config = await options.config?.();
    return tendCluster(clusterName, { ...options, ...more, agents: pool }, ownCloudContext(row, { config, signal }));
  };
  return pool;
}

/** An upgrade that does not work leaves the agent that there is, as long as that one answers. */
async function renewAgents(met: MetAgent, agentBundle: string, options: AgentsOptions): Promise<AgentPeer> {
  const { cluster, agent, hello, dialAgain, signal } = met;
  const { row } = cluster;
  try {
    if (!hasOutdated(hello, readBundle(agentBundle)) || row.secret_path === null) return agent;
    const cloud = await options.clouds.load(row.cloud);
    const agents = {
      connect: (_name: string, wait: { readonly waitMs?: number } = {}) =>
        agent.isClosed ? dialAgain(wait.waitMs) : Promise.resolve(agent),
      drop: () => agent.close(),
    };
    const token = ensureClusterToken(row.secret_path);
    const config = await options.config?.();
    const cloudContext = ownCloudContext(row, { config, signal });
    const renewed = await bringUp({ cluster, cloud, token }, { agents, agentBundle, cloudContext });
    await recordEvent(options, row, { type: "DEBUG", to: row.status, reason: "The agents were upgraded." });
    return renewed;
  } catch (error) {
    if (agent.isClosed || !(error instanceof AgentError)) {
      agent.close();
      throw error;
    }
    options.onError(row.name, error);
    return agent;
  }
}

async function applyEvent(
  clusterName: string,
  event: AgentEvent,
  store: { readonly db: Kysely<Database>; readonly clock: Clock },
): Promise<void> {
  // What is announced of a node is seen by the look that follows.
  if (event.type === "job" || event.type === "preempting") return;
  const row = await findCluster(store.db, clusterName);
  if (row === undefined || row.status === "STOPPED") return;
  if (event.type === "autostopping") {
    if (row.status === "AUTOSTOPPING") return;
    const reason = event.down ? "Cluster is autodowning." : "Cluster is autostopping.";
    await moveTo(store, row, { to: "AUTOSTOPPING", phase: "stopping", reason });
    return;
  }
  if (event.type === "lost") {
    await recordLoss(row, event, store);
    return;
  }
  const state = event.isAlive ? "connected" : `lost (${event.reason})`;
  await recordEvent(store, row, { type: "DEBUG", to: row.status, reason: `Node ${event.index} ${state}.` });
}

/** Nobody is there to be told when a cluster stops itself; its history and the log of its launch outlive it. */
async function recordLoss(
  row: ClusterRow,
  lost: LostWithNode,
  store: { readonly db: Kysely<Database>; readonly clock: Clock },
): Promise<void> {
  const reason = lostWithNode(lost);
  await recordEvent(store, row, { type: "STATUS_CHANGE", to: row.status, reason });
  if (row.provision_log_path !== null) openRunLog(row.provision_log_path, store.clock).write(reason);
}
