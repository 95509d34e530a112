import type { Kysely } from "kysely";
import type { Database } from "../../db/schema.ts";
import type { AgentEvent } from "../../shared/agent/protocol.ts";
import type { Clock } from "../../shared/clock.ts";
import { findCluster } from "../../db/queries/clusters.ts";
import { refreshCluster } from "../clusters/refresh.ts";
import { moveTo, recordEvent } from "../clusters/transition.ts";
import type { ClusterLocks } from "../operation.ts";
import type { CloudContext, CloudRegistry } from "../ports/cloud.ts";
import { AgentPool } from "./pool.ts";

export interface AgentsOptions {
  readonly db: Kysely<Database>;
  readonly clouds: CloudRegistry;
  readonly clock: Clock;
  readonly locks: ClusterLocks;
  readonly onError: (clusterName: string, error: unknown) => void;
}

/** The pool of connections of a server, whose rows follow what the agents report. */
export function createAgentPool(options: AgentsOptions): AgentPool {
  const { db, clock } = options;
  const store = { db, clock };
  const pool: AgentPool = new AgentPool({
    ...options,
    onEvent: async (clusterName, event) => applyEvent(clusterName, event, store),
    onLost: async (clusterName) => {
      const row = await findCluster(db, clusterName);
      if (row === undefined) return false;
      const context: CloudContext = {
        workspace: row.workspace,
        config: {},
        env: {},
        signal: new AbortController().signal,
      };
      const current = await refreshCluster(clusterName, { ...options, agents: pool }, context);
      return current !== undefined && current.status !== "STOPPED";
    },
  });
  return pool;
}

async function applyEvent(
  clusterName: string,
  event: AgentEvent,
  store: { readonly db: Kysely<Database>; readonly clock: Clock },
): Promise<void> {
  if (event.type === "job") return;
  const row = await findCluster(store.db, clusterName);
  if (row === undefined || row.status === "STOPPED") return;
  if (event.type === "autostopping") {
    if (row.status === "AUTOSTOPPING") return;
    const reason = event.down ? "Cluster is autodowning." : "Cluster is autostopping.";
    await moveTo(store, row, { to: "AUTOSTOPPING", phase: "stopping", reason });
    return;
  }
  const state = event.isAlive ? "connected" : `lost (${event.reason})`;
  await recordEvent(store, row, { type: "DEBUG", to: row.status, reason: `Node ${event.index} ${state}.` });
}
