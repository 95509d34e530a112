import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { databaseKinds, openTestDatabase, POSTGRES_START_MS } from "../../../test/fakes/databases.ts";
import type { OpenDatabase } from "../../db/database.ts";
import type { Clock } from "../../shared/clock.ts";
import { LOCK_LEASE_MS, SharedClusterLocks } from "./shared-lock.ts";

describe.each(databaseKinds)("cluster locks of two servers on %s", (kind) => {
  let database: OpenDatabase;
  let now: number;
  let one: SharedClusterLocks;
  let two: SharedClusterLocks;
  const errors: unknown[] = [];

  /** Time that the test sets; a sleep only gives way. */
  const clock: Clock = {
    now: () => now,
    sleep: async (_, options) => {
      options?.signal?.throwIfAborted();
      await new Promise((resolve) => setImmediate(resolve));
      options?.signal?.throwIfAborted();
    },
  };
  const open = (owner: string): SharedClusterLocks =>
    new SharedClusterLocks({ db: database.db, owner, clock, onError: (error) => errors.push(error) });

  beforeAll(async () => {
    await (await openTestDatabase(kind)).close();
  }, POSTGRES_START_MS);

  beforeEach(async () => {
    database = await openTestDatabase(kind);
    now = 1_000_000;
    one = open("server-1");
    two = open("server-2");
  });

  afterEach(async () => {
    await one.close();
    await two.close();
    await database.close();
    expect(errors).toEqual([]);
  });

  test("one waits for the other, and is told for whom", async () => {
    const release = await one.acquire("c", "r1");
    expect(await two.findHolder("c")).toBe("r1");
    expect(await two.tryAcquire("c", "r2")).toBeUndefined();
    const blocked = Promise.withResolvers<string>();
    const waiting = two.acquire("c", "r2", { onBlocked: blocked.resolve });
    expect(await blocked.promise).toBe("r1");
    release();
    (await waiting)();
    await two.close();
    expect(await one.findHolder("c")).toBeUndefined();
  });

  test("one that could not be extended in time counts as lost before another server may take it", async () => {
    const release = await one.acquire("c", "r1");
    const loss = one.lossOf("c");
    for (const ms of [10_000, 10_000, 19_000]) {
      now += ms;
      one.extend();
      // What is extended is known when the database has answered.
      await one.close();
    }
    expect(loss.aborted).toBe(false);
    now += 20_000;
    expect(await two.tryAcquire("c", "r2")).toBeUndefined();
    one.extend();
    expect(loss.aborted).toBe(true);
    expect(one.lossOf("other").aborted).toBe(true);
    release();
  });

  test("never two at once, whoever asks when", async () => {
    let inside = 0;
    let most = 0;
    let turns = 0;
    const work = async (locks: SharedClusterLocks, id: string): Promise<void> => {
      const release = await locks.acquire("c", id);
      inside += 1;
      most = Math.max(most, inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
      turns += 1;
      release();
    };
    await Promise.all(Array.from({ length: 12 }, (_, index) => work(index % 2 === 0 ? one : two, `r${index}`)));
    expect([most, turns]).toEqual([1, 12]);
  });

  test("clusters do not block each other", async () => {
    const releases = [await one.acquire("a", "r1"), await two.acquire("b", "r2")];
    for (const release of releases) release();
  });

  test("a dead server's lock runs out; a request that was taken over has it at once", async () => {
    await one.acquire("c", "r1");
    const again = await two.tryAcquire("c", "r1");
    expect(again).toBeTypeOf("function");
    expect(await one.findHolder("c")).toBe("r1");
    now += LOCK_LEASE_MS + 1;
    const three = open("server-3");
    const release = await three.tryAcquire("c", "r3");
    expect(release).toBeTypeOf("function");
    // Who lost it does not free it.
    again?.();
    await two.close();
    expect(await two.findHolder("c")).toBe("r3");
    release?.();
    await three.close();
  });

  test("a waiter that is cancelled leaves nothing behind", async () => {
    const release = await one.acquire("c", "r1");
    const abort = new AbortController();
    const blocked = Promise.withResolvers<string>();
    const waiting = two.acquire("c", "r2", { signal: abort.signal, onBlocked: blocked.resolve });
    await blocked.promise;
    abort.abort(new Error("cancelled"));
    await expect(waiting).rejects.toThrow("cancelled");
    release();
    await one.close();
    expect(await two.tryAcquire("c", "r3")).toBeTypeOf("function");
  });
});
