import type { Kysely } from "kysely";
import { createAgentPool } from "../core/agents/events.ts";
import type { AgentConnections, ClusterLocks } from "../core/operation.ts";
import type { CloudRegistry } from "../core/ports/cloud.ts";
import type { Database } from "../db/schema.ts";
import type { Logger } from "../platform/logger.ts";
import type { Clock } from "../shared/clock.ts";

export interface Agents {
  readonly connections: AgentConnections;
  resume(): Promise<void>;
}

/** The connections to head agents of this server. */
export function createAgents(options: {
  readonly db: Kysely<Database>;
  readonly clouds: CloudRegistry;
  readonly clock: Clock;
  readonly locks: ClusterLocks;
  readonly logger: Logger;
}): Agents {
  const { logger, ...parts } = options;
  const pool = createAgentPool({
    ...parts,
    onError: (clusterName, error) => logger.warn({ err: error, clusterName }, "agent connection"),
  });
  return { connections: pool, resume: () => pool.resume() };
}
