import type { Kysely, Selectable } from "kysely";
import type { Database, RefusalsTable } from "../schema.ts";

export type RefusalRow = Selectable<RefusalsTable>;

/** Writes that a place has refused, over what was known of it; forgets what has expired. */
export async function upsertRefusal(db: Kysely<Database>, row: RefusalRow): Promise<void> {
  const { place: _, ...fields } = row;
  await db.deleteFrom("refusals").where("expires_at", "<", row.refused_at).execute();
  await db
    .insertInto("refusals")
    .values(row)
    .onConflict((conflict) => conflict.column("place").doUpdateSet(fields))
    .execute();
}

/** What the account was refused on the cloud and has not expired. */
export async function listRefusals(
  db: Kysely<Database>,
  of: { readonly cloud: string; readonly account: string; readonly now: number },
): Promise<readonly RefusalRow[]> {
  return db
    .selectFrom("refusals")
    .selectAll()
    .where("cloud", "=", of.cloud)
    .where("account", "=", of.account)
    .where("expires_at", ">", of.now)
    .orderBy("place")
    .execute();
}

export async function deleteRefusals(db: Kysely<Database>, places: readonly string[]): Promise<void> {
  if (places.length > 0) await db.deleteFrom("refusals").where("place", "in", places).execute();
}

/** Forgets what a region has refused, e.g. when a cluster there has made room. */
export async function deleteRefusalsOf(
  db: Kysely<Database>,
  of: { readonly cloud: string; readonly region: string },
): Promise<void> {
  await db.deleteFrom("refusals").where("cloud", "=", of.cloud).where("region", "=", of.region).execute();
}
