import type { Kysely } from "kysely";
import type { Database } from "./schema.ts";

/** Does all of `work` or nothing of it, in the transaction that there is, or else in one of its own. */
export function inTransaction<T>(db: Kysely<Database>, work: (db: Kysely<Database>) => Promise<T>): Promise<T> {
  return db.isTransaction ? work(db) : db.transaction().execute(work);
}
