import type { Kysely } from "kysely";
import { insertRequests, type NewRequest, type RequestOutcome } from "../../db/queries/requests.ts";
import type { Database } from "../../db/schema.ts";

/** A row that is about to be stored. */
export interface PendingInsert {
  /** Resolves when the row is stored. */
  readonly stored: Promise<void>;
  /** Stores the row with its end at once; false when the row has been written already. */
  finish(outcome: RequestOutcome): boolean;
}

/** Rows in one statement at most; SQLite and Postgres bound the number of parameters. */
const MAX_ROWS = 100;

/**
 * Stores new requests together, at the end of the turn of the event loop: what comes in on many connections at once costs one
 * commit, and a request that ends within that turn costs no second write.
 */
export class InsertBatch {
  readonly #db: Kysely<Database>;
  #rows: { row: NewRequest; readonly stored: PromiseWithResolvers<void> }[] = [];

  constructor(db: Kysely<Database>) {
    this.#db = db;
  }

  /** Adds a row whose id nobody else can have chosen. */
  add(row: NewRequest): PendingInsert {
    const entry = { row, stored: Promise.withResolvers<void>() };
    // Whoever does not wait for the row does not look at its failure either.
    entry.stored.promise.catch(() => undefined);
    this.#rows.push(entry);
    if (this.#rows.length === 1) setImmediate(() => void this.#flush());
    return {
      stored: entry.stored.promise,
      finish: (outcome) => {
        if (!this.#rows.includes(entry)) return false;
        entry.row = { ...entry.row, ...(outcome as NewRequest), lease_owner: null, lease_expires_at: null };
        return true;
      },
    };
  }

  async #flush(): Promise<void> {
    const all = this.#rows;
    this.#rows = [];
    for (let from = 0; from < all.length; from += MAX_ROWS) {
      const entries = all.slice(from, from + MAX_ROWS);
      try {
        await insertRequests(
          this.#db,
          entries.map(({ row }) => row),
        );
        for (const { stored } of entries) stored.resolve();
      } catch (error) {
        for (const { stored } of entries) stored.reject(error);
      }
    }
  }
}
