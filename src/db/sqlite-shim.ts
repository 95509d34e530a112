import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import type { SqliteDatabase, SqliteStatement } from "kysely";
import { toStateError } from "./errors.ts";

const STATEMENT_CACHE_SIZE = 256;

/** Gives Kysely's SQLite dialect a `node:sqlite` database: argument spreading, statement cache, `BEGIN IMMEDIATE`. */
export function toKyselySqlite(database: DatabaseSync, path: string): SqliteDatabase {
  const cache = new Map<string, SqliteStatement>();
  return {
    close: () => {
      cache.clear();
      database.close();
    },
    prepare: (sql) => {
      const cached = cache.get(sql);
      if (cached !== undefined) return cached;
      // A deferred transaction that later writes can fail with SQLITE_BUSY although busy_timeout is set.
      const statement = wrap(database.prepare(sql === "begin" ? "begin immediate" : sql), path);
      if (cache.size >= STATEMENT_CACHE_SIZE) {
        const oldest = cache.keys().next();
        if (!oldest.done) cache.delete(oldest.value);
      }
      cache.set(sql, statement);
      return statement;
    },
  };
}

function wrap(statement: StatementSync, path: string): SqliteStatement {
  const reader = statement.columns().length > 0;
  // A full or damaged disk shows itself at any statement.
  const attempt = <T>(act: () => T): T => {
    try {
      return act();
    } catch (error) {
      throw toStateError(error, path);
    }
  };
  return {
    reader,
    all: (parameters) => attempt(() => statement.all(...(parameters as SQLInputValue[]))),
    run: (parameters) => attempt(() => statement.run(...(parameters as SQLInputValue[]))),
    iterate: (parameters) => statement.iterate(...(parameters as SQLInputValue[])),
  };
}
