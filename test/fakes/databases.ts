import { PGlite } from "@electric-sql/pglite";
import { Kysely, PGliteDialect, sql } from "kysely";
import { openDatabase, type DatabaseKind, type OpenDatabase } from "../../src/db/database.ts";
import { migrate } from "../../src/db/migrate.ts";
import type { Database } from "../../src/db/schema.ts";

export const databaseKinds: readonly DatabaseKind[] = ["sqlite", "postgres"];

/** Time that the first use of Postgres in a worker may take on a busy machine. */
export const POSTGRES_START_MS = 60_000;

/** Starting Postgres costs a second, so all tests of a worker share one and each gets an empty schema. */
let postgres: PGlite | undefined;

/** A migrated, empty database: SQLite in memory, or Postgres in this process. */
export async function openTestDatabase(kind: DatabaseKind): Promise<OpenDatabase> {
  if (kind === "sqlite") return openDatabase({ sqlite: ":memory:" });
  const db = openBarePostgres();
  await sql`drop schema if exists public cascade`.execute(db);
  await sql`create schema public`.execute(db);
  await migrate(db, "postgres");
  return { db, kind, durably: (work) => work(db), close: () => Promise.resolve() };
}

/** The shared Postgres as it is. Never destroy it: that would close it for the other tests. */
export function openBarePostgres(): Kysely<Database> {
  postgres ??= new PGlite();
  return new Kysely<Database>({ dialect: new PGliteDialect({ pglite: postgres }) });
}
