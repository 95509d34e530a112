import type { CompiledQuery, Kysely } from "kysely";
import type { Database } from "../schema.ts";

const queries = new WeakMap<Kysely<Database>, CompiledQuery<{ version: number }>>();

/** A number that grows with every change of the clusters table, by whomever. Asked for so often that its text is kept. */
export async function readClustersVersion(db: Kysely<Database>): Promise<number> {
  const query =
    queries.get(db) ?? db.selectFrom("table_versions").select("version").where("name", "=", "clusters").compile();
  queries.set(db, query);
  const { rows } = await db.executeQuery(query);
  const row = rows[0];
  if (row === undefined) throw new RangeError("The table of versions has no row for the clusters.");
  return row.version;
}
