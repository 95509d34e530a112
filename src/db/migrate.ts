import { sql, type Kysely } from "kysely";
import type { DatabaseKind } from "./database.ts";
import { OperationFailedError } from "../shared/errors.ts";
import { LATEST_MIGRATION } from "./latest-migration.ts";

export interface Migration {
  /** `NNNN_what`; applied in the order of the names, never edited after landing. */
  readonly name: string;
  up(db: Kysely<unknown>, kind: DatabaseKind): Promise<void>;
}

/**
 * Applies the missing migrations, each in its own transaction. When the newest is there already, this is one query and
 * loads no migration. A database of a newer release is refused.
 */
export async function migrate<DB>(db: Kysely<DB>, kind: DatabaseKind): Promise<void> {
  const untyped = db as unknown as Kysely<unknown>;
  const applied = await appliedMigrations(untyped, kind);
  const newest = applied.at(-1);
  if (newest === LATEST_MIGRATION) return;
  if (newest !== undefined && newest > LATEST_MIGRATION) {
    throw new OperationFailedError(`The state was written by a newer release (schema ${newest}).`, {
      hint: "Upgrade this installation, or point it to another state directory.",
    });
  }
  const { migrations } = await import("./migrations/list.ts");
  for (const migration of migrations) {
    if (applied.includes(migration.name)) continue;
    await untyped.transaction().execute(async (transaction) => {
      await lockMigrations(transaction, kind);
      // A replica that started at the same moment may have been faster.
      if ((await appliedMigrations(transaction, kind)).includes(migration.name)) return;
      await migration.up(transaction, kind);
      await sql`insert into migrations (name, applied_at) values (${migration.name}, ${Date.now()})`.execute(
        transaction,
      );
    });
  }
}

async function appliedMigrations(db: Kysely<unknown>, kind: DatabaseKind): Promise<string[]> {
  const exists =
    kind === "sqlite"
      ? await sql`select 1 from sqlite_master where type = 'table' and name = 'migrations'`.execute(db)
      : await sql`select 1 from pg_tables where schemaname = current_schema() and tablename = 'migrations'`.execute(db);
  if (exists.rows.length === 0) return [];
  const { rows } = await sql<{ name: string }>`select name from migrations order by name`.execute(db);
  return rows.map((row) => row.name);
}

async function lockMigrations(transaction: Kysely<unknown>, kind: DatabaseKind): Promise<void> {
  if (kind === "postgres") await sql`select pg_advisory_xact_lock(6213001)`.execute(transaction);
  await sql`create table if not exists migrations (name text primary key, applied_at bigint not null)`.execute(
    transaction,
  );
}
