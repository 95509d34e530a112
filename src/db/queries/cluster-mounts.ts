import type { Kysely, Selectable } from "kysely";
import type { ClusterMountsTable, Database } from "../schema.ts";

export type ClusterMountRow = Selectable<ClusterMountsTable>;

/** Adds a mount; one at the same place is replaced. */
export async function saveClusterMount(db: Kysely<Database>, row: ClusterMountRow): Promise<void> {
  const { store, spec } = row;
  await db
    .insertInto("cluster_mounts")
    .values(row)
    .onConflict((conflict) => conflict.columns(["cluster_hash", "dest"]).doUpdateSet({ store, spec }))
    .execute();
}

export async function listClusterMounts(db: Kysely<Database>, clusterHash: string): Promise<ClusterMountRow[]> {
  return db.selectFrom("cluster_mounts").selectAll().where("cluster_hash", "=", clusterHash).orderBy("dest").execute();
}

/** Forgets all mounts of a cluster. */
export async function deleteClusterMounts(db: Kysely<Database>, clusterHash: string): Promise<void> {
  await db.deleteFrom("cluster_mounts").where("cluster_hash", "=", clusterHash).execute();
}
