import type { Kysely } from "kysely";
import { upsertUser } from "../db/queries/users.ts";
import type { Database } from "../db/schema.ts";
import type { Clock } from "../shared/clock.ts";
import type { RequestCaller } from "./requests/types.ts";

const VALID_ID = /^[a-zA-Z0-9][a-zA-Z0-9-]{0,127}$/;

/** Knows who calls, and keeps the users table up to date without a write per request. */
export class UserDirectory {
  readonly #db: Kysely<Database>;
  readonly #clock: Clock;
  readonly #self: RequestCaller;
  /** User id → name that the table has. */
  readonly #known = new Map<string, string>();

  constructor(db: Kysely<Database>, options: { readonly clock: Clock; readonly self: RequestCaller }) {
    this.#db = db;
    this.#clock = options.clock;
    this.#self = options.self;
  }

  /** The caller that a body names by its environment variables; the server's own user when it names none. */
  async identify(env: Readonly<Record<string, string>>): Promise<RequestCaller> {
    const id = env["SKYPILOT_USER_ID"] ?? "";
    const caller = VALID_ID.test(id)
      ? { userId: id, userName: (env["SKYPILOT_USER"] ?? "").slice(0, 256) || id }
      : this.#self;
    await this.remember(caller);
    return caller;
  }

  async remember(caller: RequestCaller): Promise<void> {
    if (this.#known.get(caller.userId) === caller.userName) return;
    const type = caller.userId === this.#self.userId ? "system" : "legacy";
    await upsertUser(this.#db, {
      id: caller.userId,
      name: caller.userName,
      type,
      createdAt: this.#clock.now(),
    });
    if (this.#known.size > 10_000) this.#known.clear();
    this.#known.set(caller.userId, caller.userName);
  }
}
