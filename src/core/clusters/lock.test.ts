import { describe, expect, test } from "vitest";
import { createClusterLocks } from "./lock.ts";

describe("cluster locks", () => {
  test("are given in the order of asking, and name the holder", async () => {
    const locks = createClusterLocks();
    const order: string[] = [];
    const first = await locks.acquire("c", "r1");
    const blockedBy: string[] = [];
    const onBlocked = (holder: string): void => void blockedBy.push(holder);
    const waiting = ["r2", "r3"].map(async (id) => {
      const release = await locks.acquire("c", id, { onBlocked });
      order.push(id);
      expect(await locks.findHolder("c")).toBe(id);
      release();
    });
    expect(await locks.findHolder("c")).toBe("r1");
    first();
    await Promise.all(waiting);
    expect(order).toEqual(["r2", "r3"]);
    expect(blockedBy).toEqual(["r1", "r1"]);
    expect(await locks.findHolder("c")).toBeUndefined();
  });

  test("clusters do not block each other", async () => {
    const locks = createClusterLocks();
    await locks.acquire("a", "r1");
    await expect(locks.acquire("b", "r2")).resolves.toBeTypeOf("function");
  });

  test("an aborted waiter leaves the queue", async () => {
    const locks = createClusterLocks();
    const release = await locks.acquire("c", "r1");
    const abort = new AbortController();
    const aborted = locks.acquire("c", "r2", { signal: abort.signal });
    const last = locks.acquire("c", "r3");
    abort.abort(new Error("cancelled"));
    await expect(aborted).rejects.toThrow("cancelled");
    release();
    (await last)();
    expect(await locks.findHolder("c")).toBeUndefined();
  });

  test("releasing twice does not free the next holder", async () => {
    const locks = createClusterLocks();
    const release = await locks.acquire("c", "r1");
    const second = locks.acquire("c", "r2");
    release();
    await second;
    release();
    expect(await locks.findHolder("c")).toBe("r2");
  });
});
