import { chmodSync, existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { CompiledQuery, Kysely, PostgresDialect, SqliteDialect } from "kysely";
import { OperationFailedError } from "../shared/errors.ts";
import { toStateError } from "./errors.ts";
import { migrate } from "./migrate.ts";
import type { Database } from "./schema.ts";
import { toKyselySqlite } from "./sqlite-shim.ts";

export type DatabaseKind = "sqlite" | "postgres";

export interface OpenDatabase {
  readonly db: Kysely<Database>;
  readonly kind: DatabaseKind;
  /** Runs `work` so that it has reached the disk when the promise resolves, also through a power failure. */
  readonly durably: <T>(work: (db: Kysely<Database>) => Promise<T>) => Promise<T>;
  readonly close: () => Promise<void>;
}

export type DatabaseLocation = { readonly sqlite: string } | { readonly postgres: string };

/**
 * Opens the state and brings its schema up to date. A missing SQLite file is created (0600); a damaged one is an
 * OperationFailedError and stays as it is.
 */
export async function openDatabase(location: DatabaseLocation): Promise<OpenDatabase> {
  return "sqlite" in location ? openSqlite(location.sqlite) : openPostgres(location.postgres);
}

async function openSqlite(path: string): Promise<OpenDatabase> {
  try {
    const raw = openSqliteFile(path);
    const db = new Kysely<Database>({ dialect: new SqliteDialect({ database: toKyselySqlite(raw, path) }) });
    await migrate(db, "sqlite");
    return {
      db,
      kind: "sqlite",
      durably: (work) =>
        // With NORMAL a commit survives the death of the process but not a power cut; FULL syncs the WAL at commit.
        db.connection().execute(async (connection) => {
          await connection.executeQuery(CompiledQuery.raw("pragma synchronous = full"));
          try {
            return await work(connection);
          } finally {
            await connection.executeQuery(CompiledQuery.raw("pragma synchronous = normal"));
          }
        }),
      close: () => db.destroy(),
    };
  } catch (error) {
    throw toStateError(error, path);
  }
}

function openSqliteFile(path: string): DatabaseSync {
  const isMemory = path === ":memory:";
  if (!isMemory) mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const isNew = !isMemory && !existsSync(path);
  const raw = new DatabaseSync(path, { timeout: 5000 });
  try {
    if (isNew) chmodSync(path, 0o600);
    raw.exec(
      "pragma journal_mode = wal; pragma synchronous = normal; pragma foreign_keys = on; pragma temp_store = memory",
    );
    // Reads the schema, so that a file which is no database is found here and not in the first request.
    raw.prepare("select count(*) from sqlite_master").get();
    return raw;
  } catch (error) {
    raw.close();
    throw error;
  }
}

async function openPostgres(url: string): Promise<OpenDatabase> {
  const { default: pg } = await import("pg");
  const types = new pg.TypeOverrides();
  // Our 64-bit columns hold milliseconds and counters, all below 2^53.
  types.setTypeParser(pg.types.builtins.INT8, Number);
  const pool = new pg.Pool({ connectionString: url, max: 10, types });
  // An idle connection that breaks must not end the process; the next query opens another.
  pool.on("error", () => undefined);
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });
  try {
    await migrate(db, "postgres");
  } catch (error) {
    await db.destroy();
    throw new OperationFailedError(`The database of SKYPILOT_DB_CONNECTION_URI cannot be used: ${reasonOf(error)}.`, {
      cause: error,
      hint: "Check that the server runs, that the URL is right and that the user may create tables.",
    });
  }
  return { db, kind: "postgres", durably: (work) => work(db), close: () => db.destroy() };
}

function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return error.errors[0].message;
  return error instanceof Error ? error.message : String(error);
}
