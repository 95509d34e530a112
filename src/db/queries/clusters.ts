import type { Kysely, Selectable, Updateable } from "kysely";
import type { ClustersTable, Database } from "../schema.ts";

export type ClusterRow = Selectable<ClustersTable>;
export type ClusterStatus = ClustersTable["status"];
/** What may change beside the status, which only `moveCluster` sets. */
export type ClusterFields = Omit<Updateable<ClustersTable>, "name" | "cluster_hash" | "status">;

/** False when a cluster of that name exists. */
export async function insertCluster(db: Kysely<Database>, row: ClusterRow): Promise<boolean> {
  const result = await db
    .insertInto("clusters")
    .values(row)
    .onConflict((conflict) => conflict.column("name").doNothing())
    .executeTakeFirst();
  return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
}

export async function findCluster(db: Kysely<Database>, name: string): Promise<ClusterRow | undefined> {
  return db.selectFrom("clusters").selectAll().where("name", "=", name).executeTakeFirst();
}

export interface ClusterFilter {
  readonly names?: readonly string[];
  readonly userHash?: string;
  readonly statuses?: readonly ClusterStatus[];
}

/** Newest first. */
export async function listClusters(db: Kysely<Database>, filter: ClusterFilter = {}): Promise<ClusterRow[]> {
  let query = db.selectFrom("clusters").selectAll().orderBy("launched_at", "desc").orderBy("name");
  if (filter.names !== undefined) query = query.where("name", "in", [...filter.names]);
  if (filter.userHash !== undefined) query = query.where("user_hash", "=", filter.userHash);
  if (filter.statuses !== undefined) query = query.where("status", "in", [...filter.statuses]);
  return query.execute();
}

/** Those of these clusters that are there, by name. */
export async function listClustersByHash(
  db: Kysely<Database>,
  clusterHashes: readonly string[],
): Promise<Pick<ClusterRow, "name" | "cluster_hash">[]> {
  if (clusterHashes.length === 0) return [];
  return db
    .selectFrom("clusters")
    .select(["name", "cluster_hash"])
    .where("cluster_hash", "in", [...clusterHashes])
    .orderBy("name")
    .execute();
}

export async function listClusterNames(db: Kysely<Database>): Promise<string[]> {
  const rows = await db.selectFrom("clusters").select("name").orderBy("name").execute();
  return rows.map((row) => row.name);
}

/** Moves a cluster from one of the `from` states. False when it was in another one, or gone: then nothing is changed. */
export async function moveCluster(
  db: Kysely<Database>,
  clusterHash: string,
  move: {
    readonly from: readonly ClusterStatus[];
    readonly to: ClusterStatus;
    readonly at: number;
    readonly fields?: ClusterFields;
  },
): Promise<boolean> {
  const result = await db
    .updateTable("clusters")
    .set({ ...move.fields, status: move.to, status_updated_at: move.at })
    .where("cluster_hash", "=", clusterHash)
    .where("status", "in", [...move.from])
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

export async function updateCluster(db: Kysely<Database>, clusterHash: string, fields: ClusterFields): Promise<void> {
  await db.updateTable("clusters").set(fields).where("cluster_hash", "=", clusterHash).execute();
}

/** True when this call removed it. */
export async function deleteCluster(db: Kysely<Database>, clusterHash: string): Promise<boolean> {
  const result = await db.deleteFrom("clusters").where("cluster_hash", "=", clusterHash).executeTakeFirst();
  return result.numDeletedRows > 0n;
}
