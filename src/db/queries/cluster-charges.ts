import type { Insertable, Kysely, Selectable } from "kysely";
import type { ClusterChargesTable, Database } from "../schema.ts";
import { inTransaction } from "../transaction.ts";

export type ClusterChargeRow = Selectable<ClusterChargesTable>;
export type NewClusterCharge = Insertable<ClusterChargesTable>;

/** The period that goes on. */
export async function findOpenCharge(db: Kysely<Database>, clusterHash: string): Promise<ClusterChargeRow | undefined> {
  return db
    .selectFrom("cluster_charges")
    .selectAll()
    .where("cluster_hash", "=", clusterHash)
    .where("ended_at", "is", null)
    .executeTakeFirst();
}

/** Ends the period that goes on, if any, and begins the next one, if any, at the same moment. */
export async function replaceOpenCharge(
  db: Kysely<Database>,
  clusterHash: string,
  change: { readonly at: number; readonly next: NewClusterCharge | undefined },
): Promise<void> {
  await inTransaction(db, async (transaction) => {
    await transaction
      .updateTable("cluster_charges")
      .set({ ended_at: change.at })
      .where("cluster_hash", "=", clusterHash)
      .where("ended_at", "is", null)
      .execute();
    if (change.next === undefined) return;
    await transaction
      .insertInto("cluster_charges")
      .values(change.next)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  });
}

/** Hashes in one statement: SQLite takes 32,766 values, Postgres 65,535. */
const HASHES_AT_ONCE = 10_000;

/** Periods that ended after `since` or go on, those of each cluster oldest first. */
export async function listCharges(
  db: Kysely<Database>,
  filter: { readonly since?: number; readonly clusterHashes?: readonly string[] } = {},
): Promise<ClusterChargeRow[]> {
  const { since, clusterHashes } = filter;
  let query = db.selectFrom("cluster_charges").selectAll().orderBy("id");
  if (since !== undefined) {
    query = query.where((on) => on.or([on("ended_at", "is", null), on("ended_at", ">", since)]));
  }
  if (clusterHashes === undefined) return query.execute();
  const parts: ClusterChargeRow[][] = [];
  for (let start = 0; start < clusterHashes.length; start += HASHES_AT_ONCE) {
    const some = clusterHashes.slice(start, start + HASHES_AT_ONCE);
    parts.push(await query.where("cluster_hash", "in", some).execute());
  }
  return parts.flat();
}

export interface SpenderRow extends ClusterChargeRow {
  readonly user_hash: string;
  readonly user_name: string;
  readonly workspace: string;
  /** JSON map. */
  readonly labels: string;
}

/** The same periods with whose they are. */
export async function listSpending(db: Kysely<Database>, since: number): Promise<SpenderRow[]> {
  return db
    .selectFrom("cluster_charges")
    .innerJoin("cluster_history", "cluster_history.cluster_hash", "cluster_charges.cluster_hash")
    .selectAll("cluster_charges")
    .select([
      "cluster_history.user_hash",
      "cluster_history.user_name",
      "cluster_history.workspace",
      "cluster_history.labels",
    ])
    .where((on) => on.or([on("ended_at", "is", null), on("ended_at", ">", since)]))
    .execute();
}
