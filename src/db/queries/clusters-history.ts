import type { Kysely, Selectable } from "kysely";
import type { ClusterHistoryTable, Database } from "../schema.ts";

export type ClusterHistoryRow = Selectable<ClusterHistoryTable>;

/** Writes what is known of a cluster for good; the usage intervals of an existing row stay. */
export async function upsertClusterHistory(db: Kysely<Database>, row: ClusterHistoryRow): Promise<void> {
  const { usage_intervals: _, cluster_hash: __, ...rest } = row;
  await db
    .insertInto("cluster_history")
    .values(row)
    .onConflict((conflict) => conflict.column("cluster_hash").doUpdateSet(rest))
    .execute();
}

export async function findClusterHistory(
  db: Kysely<Database>,
  clusterHash: string,
): Promise<ClusterHistoryRow | undefined> {
  return db.selectFrom("cluster_history").selectAll().where("cluster_hash", "=", clusterHash).executeTakeFirst();
}

/** The newest clusters that had this name. */
export async function findClusterHistoryByName(
  db: Kysely<Database>,
  name: string,
): Promise<ClusterHistoryRow | undefined> {
  return db
    .selectFrom("cluster_history")
    .selectAll()
    .where("name", "=", name)
    .orderBy("launched_at", "desc")
    .limit(1)
    .executeTakeFirst();
}

export async function setUsageIntervals(
  db: Kysely<Database>,
  clusterHash: string,
  usage: { readonly intervals: string; readonly lastActivityTime: number },
): Promise<void> {
  await db
    .updateTable("cluster_history")
    .set({ usage_intervals: usage.intervals, last_activity_time: usage.lastActivityTime })
    .where("cluster_hash", "=", clusterHash)
    .execute();
}

export async function listClusterHistory(
  db: Kysely<Database>,
  filter: {
    readonly hashes?: readonly string[];
    readonly names?: readonly string[];
    readonly excludeManaged?: boolean;
  } = {},
): Promise<ClusterHistoryRow[]> {
  let query = db.selectFrom("cluster_history").selectAll().orderBy("launched_at", "desc");
  if (filter.hashes !== undefined) query = query.where("cluster_hash", "in", [...filter.hashes]);
  if (filter.names !== undefined) query = query.where("name", "in", [...filter.names]);
  if (filter.excludeManaged === true) query = query.where("is_managed", "=", 0);
  return query.execute();
}
