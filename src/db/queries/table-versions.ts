import type { Kysely } from "kysely";
import type { Database } from "../schema.ts";

/** A number that grows with every change of the clusters table, by whomever. */
export async function readClustersVersion(db: Kysely<Database>): Promise<number> {
  const row = await db
    .selectFrom("table_versions")
    .select("version")
    .where("name", "=", "clusters")
    .executeTakeFirstOrThrow();
  return row.version;
}
