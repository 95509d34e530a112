import type { Kysely } from "kysely";
import { findCluster, type ClusterRow } from "../../db/queries/clusters.ts";
import type { Database } from "../../db/schema.ts";
import type { NodeResources } from "../../shared/agent/protocol.ts";
import { ClusterDoesNotExistError, ClusterNotUpError } from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";
import type { Cloud, CloudContext, ClusterRef, Instance, NodeWish, Offer } from "../ports/cloud.ts";
import { clusterSsh } from "../provision/cluster-key.ts";

/** A cluster's row with its JSON columns read. */
export interface Cluster {
  readonly row: ClusterRow;
  readonly offer: Offer;
  readonly perNode: NodeResources;
  /** As last seen, by index; empty before the nodes were there. */
  readonly instances: readonly Instance[];
  readonly ports: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

export function toCluster(row: ClusterRow): Cluster {
  return {
    row,
    offer: JSON.parse(row.offer) as Offer,
    perNode: JSON.parse(row.per_node) as NodeResources,
    instances: JSON.parse(row.instances) as readonly Instance[],
    ports: JSON.parse(row.ports) as readonly string[],
    labels: JSON.parse(row.labels) as Readonly<Record<string, string>>,
  };
}

export function clusterRef(row: ClusterRow): ClusterRef {
  const { config } = JSON.parse(row.node_wish) as Partial<NodeWish>;
  return {
    clusterName: row.name,
    nameOnCloud: row.name_on_cloud,
    region: row.region,
    zone: row.zone,
    ...(row.secret_path === null ? {} : { ssh: clusterSsh(row.secret_path) }),
    ...(config === undefined ? {} : { config }),
  };
}

/** Throws ClusterDoesNotExistError. */
export async function requireCluster(db: Kysely<Database>, name: string): Promise<Cluster> {
  const row = await findCluster(db, name);
  if (row === undefined) throw new ClusterDoesNotExistError(`Cluster '${name}' does not exist.`);
  return toCluster(row);
}

/** Throws ClusterDoesNotExistError, ClusterNotUpError. `doing` is what cannot be done, e.g. `Executing a task`. */
export async function requireUpCluster(db: Kysely<Database>, name: string, doing: string): Promise<Cluster> {
  const cluster = await requireCluster(db, name);
  const { status } = cluster.row;
  if (status === "UP") return cluster;
  const hint = status === "STOPPED" ? `To start it, run: sky start ${name}` : `See: sky status ${name}`;
  throw new ClusterNotUpError(
    `${doing}: skipped for cluster '${name}' (status: ${status}). It is only allowed for UP clusters.`,
    {
      hint,
    },
  );
}

/** Why nodes of the offer cannot be stopped, only taken down; `unsupported` where that holds for every node. Undefined when they can. */
export function whyNoStop(cloud: Cloud, offer: Offer, unsupported: string): string | undefined {
  return cloud.stop === undefined ? unsupported : cloud.whyNoStop?.(offer);
}

/** How a request calls clouds. */
export function cloudContext(context: OperationContext): CloudContext {
  return {
    workspace: context.caller.workspace,
    config: context.config,
    env: context.clientEnv,
    isLocalClient: context.isLocalClient ?? false,
    signal: context.signal,
    say: (line) => context.log.line(line),
  };
}

export function loadCloud(context: OperationContext, cluster: Cluster): Promise<Cloud> {
  return context.clouds.load(cluster.row.cloud);
}
