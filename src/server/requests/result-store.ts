import { createHash } from "node:crypto";
import type { Kysely } from "kysely";
import { findRequestValue, insertRequestValue } from "../../db/queries/request-values.ts";
import type { Database } from "../../db/schema.ts";
import type { Clock } from "../../shared/clock.ts";
import type { JsonText } from "../../shared/json-text.ts";
import type { Sealer } from "./sealer.ts";

/** Results from this length on are stored apart, so that equal ones are stored once. */
const LARGE = 32 * 1024;
const CACHED = 4;
/** A stored value is written anew after this time, so that the collection of unused ones cannot overtake its next use. */
const REFRESH_MS = 30 * 60_000;

/** What the stored form of a secret result begins with; JSON never does. */
const SEALED = "sealed:";

/** Where a result is, in the columns of a request. */
export interface ResultColumns {
  readonly return_value: string | null;
  readonly return_hash: string | null;
}

/** A result as a JSON string literal, ready to stand in a payload. */
export type EscapedResult = string | Buffer;

interface LargeResult {
  readonly hash: string;
  readonly escaped: Buffer;
}

/** Stores results and gives them back escaped; a large one is hashed, escaped and written once, however often it is the answer. */
export class ResultStore {
  readonly #db: Kysely<Database>;
  readonly #clock: Clock;
  readonly #sealer: Sealer;
  readonly #byText = new WeakMap<JsonText, LargeResult>();
  readonly #byHash = new Map<string, Buffer>();
  readonly #writtenAt = new Map<string, number>();

  constructor(options: { readonly db: Kysely<Database>; readonly clock: Clock; readonly sealer: Sealer }) {
    this.#db = options.db;
    this.#clock = options.clock;
    this.#sealer = options.sealer;
  }

  /** Keeps the result of a request. `source`: the object it came in, when the operation gives the same one for the same result. */
  async keep(
    requestId: string,
    text: string | null,
    source: JsonText | undefined,
  ): Promise<{ readonly columns: ResultColumns; readonly escaped: EscapedResult }> {
    if (text !== null && source?.isSecret === true) {
      const sealed = `${SEALED}${this.#sealer.seal(requestId, text)}`;
      return { columns: { return_value: sealed, return_hash: null }, escaped: JSON.stringify(text) };
    }
    if (text === null || text.length < LARGE) {
      return { columns: { return_value: text, return_hash: null }, escaped: JSON.stringify(text ?? "null") };
    }
    const known = source === undefined ? undefined : this.#byText.get(source);
    const large = known ?? { hash: createHash("sha256").update(text).digest("hex"), escaped: escape(text) };
    if (source !== undefined) this.#byText.set(source, large);
    this.#remember(large.hash, large.escaped);
    await this.#write(large.hash, text);
    return { columns: { return_value: null, return_hash: large.hash }, escaped: large.escaped };
  }

  /** The result of a stored request. */
  async load(requestId: string, columns: ResultColumns): Promise<EscapedResult> {
    const hash = columns.return_hash;
    const value = columns.return_value;
    if (value?.startsWith(SEALED) === true) {
      return JSON.stringify(this.#sealer.open(requestId, value.slice(SEALED.length)));
    }
    if (hash === null) return JSON.stringify(columns.return_value ?? "null");
    const cached = this.#byHash.get(hash);
    if (cached !== undefined) return cached;
    const escaped = escape((await findRequestValue(this.#db, hash)) ?? "null");
    this.#remember(hash, escaped);
    return escaped;
  }

  #remember(hash: string, escaped: Buffer): void {
    this.#byHash.delete(hash);
    this.#byHash.set(hash, escaped);
    for (const oldest of this.#byHash.keys()) {
      if (this.#byHash.size <= CACHED) break;
      this.#byHash.delete(oldest);
    }
  }

  async #write(hash: string, text: string): Promise<void> {
    const now = this.#clock.now();
    const writtenAt = this.#writtenAt.get(hash);
    if (writtenAt !== undefined && now - writtenAt < REFRESH_MS) return;
    await insertRequestValue(this.#db, { hash, text, createdAt: now }, { olderThan: now - REFRESH_MS });
    if (this.#writtenAt.size > 1000) this.#writtenAt.clear();
    this.#writtenAt.set(hash, now);
  }
}

function escape(text: string): Buffer {
  return Buffer.from(JSON.stringify(text));
}
