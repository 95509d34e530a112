import { findClusterHistoryByName } from "../../db/queries/clusters-history.ts";
import { listClusterEvents, type ClusterEventType } from "../../db/queries/clusters-events.ts";
import { findCluster } from "../../db/queries/clusters.ts";
import { ClusterDoesNotExistError, InvalidValueError } from "../../shared/errors.ts";
import type { Operation, OperationContext } from "../operation.ts";
import type { ClusterEventsBody } from "./bodies.ts";

export type ClusterEventRecord =
  | string
  | {
      readonly reason: string;
      readonly transitioned_at: number;
      readonly starting_status: string | null;
      readonly ending_status: string | null;
    };

const TYPES: readonly ClusterEventType[] = ["STATUS_CHANGE", "DEBUG", "LAUNCH_PROGRESS", "TERMINAL"];

export const clusterEventsOperation: Operation<ClusterEventsBody, readonly ClusterEventRecord[]> = {
  name: "clusters.cluster_events",
  wireName: "cluster_events",
  schedule: "short",
  isResumable: false,
  run: runClusterEvents,
};

async function runClusterEvents(
  body: ClusterEventsBody,
  context: OperationContext,
): Promise<readonly ClusterEventRecord[]> {
  const types = body.event_type.split(",").map(toType);
  const hash = body.cluster_hash ?? (await hashOf(body.cluster_name ?? "", context));
  const limit = body.limit ?? undefined;
  const events = await listClusterEvents(context.db, hash, { types, ...(limit === undefined ? {} : { limit }) });
  if (body.include_timestamps !== true) return events.map((event) => event.reason);
  return events.map(({ reason, transitioned_at, starting_status, ending_status }) => ({
    reason,
    transitioned_at: Math.floor(transitioned_at / 1000),
    starting_status,
    ending_status,
  }));
}

function toType(text: string): ClusterEventType {
  const type = TYPES.find((one) => one === text.trim());
  if (type !== undefined) return type;
  throw new InvalidValueError(`Invalid event type '${text}'. Valid types: ${TYPES.join(", ")}.`);
}

/** The cluster of that name, or the last one that had it. */
async function hashOf(name: string, context: OperationContext): Promise<string> {
  const row = (await findCluster(context.db, name)) ?? (await findClusterHistoryByName(context.db, name));
  if (row === undefined) throw new ClusterDoesNotExistError(`Cluster '${name}' does not exist.`);
  return row.cluster_hash;
}
