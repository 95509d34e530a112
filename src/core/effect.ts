import { createHash } from "node:crypto";
import { appendFileSync } from "node:fs";
import type { Kysely } from "kysely";
import { findEffect, recordIntent, recordResult } from "../db/queries/effects.ts";
import type { Database } from "../db/schema.ts";
import type { Clock } from "../shared/clock.ts";
import { RequestInterruptedError } from "../shared/errors.ts";
import type { Effect } from "./operation.ts";

/** The places in `effect()` at which a test can end the process. */
export type Failpoint = "before-intent" | "after-intent" | "after-act" | "after-result";

/** Passes a failpoint; a test's implementation may not return. */
export type PassFailpoint = (effect: string, point: Failpoint) => void;

export interface EffectOptions {
  readonly db: Kysely<Database>;
  /** Runs a write so that it survives a power failure. */
  readonly durably: <T>(work: (db: Kysely<Database>) => Promise<T>) => Promise<T>;
  readonly requestId: string;
  /** Lease under which the request runs; an effect of a request that was taken over by another server is refused. */
  readonly leaseToken: number;
  readonly clock: Clock;
  readonly passFailpoint?: PassFailpoint;
}

/**
 * Makes the `effect()` of one request. Results are kept as JSON. Throws RequestInterruptedError when the lease was lost.
 */
export function createEffect(options: EffectOptions): Effect {
  const { db, requestId, clock } = options;
  const pass = options.passFailpoint ?? ((): void => undefined);
  return async <T>(name: string, act: (token: string) => Promise<T>): Promise<T> => {
    const before = await findEffect(db, requestId, { name });
    if (before?.state === "done") return readResult(before.result) as T;
    const token = before?.token ?? effectToken(requestId, name);
    pass(name, "before-intent");
    // Nobody may find a thing in the world that no journal knows of, so the intent is on the disk first.
    const isOurs = await options.durably((durable) =>
      recordIntent(durable, { requestId, name, token, startedAt: clock.now() }, { leaseToken: options.leaseToken }),
    );
    if (!isOurs) {
      throw new RequestInterruptedError(`Request ${requestId} was taken over by another server.`);
    }
    pass(name, "after-intent");
    const result = await act(token);
    pass(name, "after-act");
    await recordResult(db, requestId, { name, result: JSON.stringify(result) ?? null, finishedAt: clock.now() });
    pass(name, "after-result");
    return result;
  };
}

/** Idempotency token of an effect: the same after every restart. 32 hex digits. */
function effectToken(requestId: string, name: string): string {
  return createHash("sha256").update(`${requestId}\0${name}`).digest("hex").slice(0, 32);
}

function readResult(result: string | null): unknown {
  return result === null ? undefined : JSON.parse(result);
}

export interface FailpointSettings {
  /** `<effect name>:<n>:<point>`: end the process with SIGKILL at the n-th pass (from 1) of this point. */
  readonly killAt?: string;
  /** File to which every pass is appended in the same form. */
  readonly listFile?: string;
}

/** Reads the failpoints of a test run; undefined when none are set. Throws RangeError for a malformed `killAt`. */
export function createFailpoints(settings: FailpointSettings): PassFailpoint | undefined {
  const { killAt, listFile } = settings;
  if (killAt === undefined && listFile === undefined) return undefined;
  // An effect's name may hold colons, so the two last fields are split off from the right.
  if (killAt !== undefined && !/^.+:[1-9][0-9]*:(before-intent|after-intent|after-act|after-result)$/.test(killAt)) {
    throw new RangeError(`The failpoint ${killAt} is not of the form <effect name>:<n>:<point>.`);
  }
  const passes = new Map<string, number>();
  return (effect, point) => {
    const key = `${effect}:${point}`;
    const count = (passes.get(key) ?? 0) + 1;
    passes.set(key, count);
    const name = `${effect}:${count}:${point}`;
    if (listFile !== undefined) appendFileSync(listFile, `${name}\n`);
    if (name === killAt) process.kill(process.pid, "SIGKILL");
  };
}
