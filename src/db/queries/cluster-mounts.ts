import type { Kysely, Selectable } from "kysely";
import type { ClusterMountsTable, Database } from "../schema.ts";

export type ClusterMountRow = Selectable<ClusterMountsTable>;

type MountKey = Pick<ClusterMountRow, "cluster_hash" | "dest">;

/** Adds a mount, which nobody refuses yet; one at the same place is replaced. */
export async function saveClusterMount(db: Kysely<Database>, row: Omit<ClusterMountRow, "refused">): Promise<void> {
  const { store, spec, replaces } = row;
  const fields = { store, spec, refused: null, replaces };
  await db
    .insertInto("cluster_mounts")
    .values(row)
    .onConflict((conflict) => conflict.columns(["cluster_hash", "dest"]).doUpdateSet(fields))
    .execute();
}

/** Notes that nodes have the mount, and nothing else at its place. */
export async function confirmClusterMount(db: Kysely<Database>, { cluster_hash, dest }: MountKey): Promise<void> {
  await db
    .updateTable("cluster_mounts")
    .set({ replaces: null })
    .where("cluster_hash", "=", cluster_hash)
    .where("dest", "=", dest)
    .execute();
}

export async function listClusterMounts(db: Kysely<Database>, clusterHash: string): Promise<ClusterMountRow[]> {
  return db.selectFrom("cluster_mounts").selectAll().where("cluster_hash", "=", clusterHash).orderBy("dest").execute();
}

/** Keeps why the keys of a mount cannot be renewed; null: they can. */
export async function setMountRefusal(
  db: Kysely<Database>,
  { cluster_hash, dest }: MountKey,
  refused: string | null,
): Promise<void> {
  await db
    .updateTable("cluster_mounts")
    .set({ refused })
    .where("cluster_hash", "=", cluster_hash)
    .where("dest", "=", dest)
    .execute();
}

/** Every mount of every cluster, with the cluster's name. */
export async function listAllMounts(
  db: Kysely<Database>,
): Promise<(ClusterMountRow & { readonly cluster_name: string })[]> {
  return db
    .selectFrom("cluster_mounts")
    .innerJoin("clusters", "clusters.cluster_hash", "cluster_mounts.cluster_hash")
    .selectAll("cluster_mounts")
    .select("clusters.name as cluster_name")
    .orderBy("clusters.name")
    .execute();
}

/** Forgets all mounts of a cluster. */
export async function deleteClusterMounts(db: Kysely<Database>, clusterHash: string): Promise<void> {
  await db.deleteFrom("cluster_mounts").where("cluster_hash", "=", clusterHash).execute();
}
