import type { Kysely, Selectable, SelectQueryBuilder, Updateable } from "kysely";
import type { Database, StorageTable } from "../schema.ts";

export type StorageRow = Selectable<StorageTable>;

/** Adds a bucket's row. One that is there is of a bucket that vanished, or was not finished: it is begun anew, see `deleteStorage`. */
export async function insertStorage(db: Kysely<Database>, row: StorageRow): Promise<void> {
  const { name: _, ...fields } = row;
  await db
    .insertInto("storage")
    .values(row)
    .onConflict((conflict) => conflict.column("name").doUpdateSet(fields))
    .execute();
}

export async function updateStorage(
  db: Kysely<Database>,
  name: string,
  fields: Updateable<StorageTable>,
): Promise<void> {
  await db.updateTable("storage").set(fields).where("name", "=", name).execute();
}

export async function findStorage(db: Kysely<Database>, name: string): Promise<StorageRow | undefined> {
  return db.selectFrom("storage").selectAll().where("name", "=", name).executeTakeFirst();
}

/** Oldest first, as they were made; with `clusterHash` only what goes with that cluster. */
export async function listStorage(
  db: Kysely<Database>,
  filter: { readonly clusterHash?: string } = {},
): Promise<StorageRow[]> {
  let query = db.selectFrom("storage").selectAll().orderBy("launched_at").orderBy("name");
  if (filter.clusterHash !== undefined) query = query.where("cluster_hash", "=", filter.clusterHash);
  return query.execute();
}

/** Lets what was to go with a cluster stay. */
export async function keepStorageOf(db: Kysely<Database>, clusterHash: string): Promise<void> {
  await db.updateTable("storage").set({ cluster_hash: null }).where("cluster_hash", "=", clusterHash).execute();
}

/** Those that were to go with a cluster which is gone. */
export async function listLeftStorage(db: Kysely<Database>): Promise<StorageRow[]> {
  return selectLeft(db).orderBy("name").execute();
}

/** The same of one bucket. */
export async function findLeftStorage(db: Kysely<Database>, name: string): Promise<StorageRow | undefined> {
  return selectLeft(db).where("name", "=", name).executeTakeFirst();
}

function selectLeft(db: Kysely<Database>): SelectQueryBuilder<Database, "storage", StorageRow> {
  return db
    .selectFrom("storage")
    .selectAll()
    .where("cluster_hash", "is not", null)
    .where("cluster_hash", "not in", (query) => query.selectFrom("clusters").select("clusters.cluster_hash"));
}

/** Forgets a bucket that is gone, unless somebody has begun to make it anew, or claimed it, since the row was read. */
export async function deleteStorage(
  db: Kysely<Database>,
  { name, launched_at, cluster_hash, handle }: Pick<StorageRow, "name" | "launched_at" | "cluster_hash" | "handle">,
): Promise<void> {
  await db
    .deleteFrom("storage")
    .where("name", "=", name)
    .where("launched_at", "=", launched_at)
    .where("cluster_hash", cluster_hash === null ? "is" : "=", cluster_hash)
    .where("handle", "=", handle)
    .execute();
}
