import { describe, expect, it } from "vitest";
import type { Clock } from "../../../shared/clock.ts";
import { Secret } from "../../../shared/secret.ts";
import { CredentialCache } from "./credential-cache.ts";
import { ServerTime } from "./server-time.ts";
import type { Credentials, Source } from "./source.ts";

const MINUTE = 60_000;
const source: Source = { kind: "iam-role" };

function setUp() {
  const state = { nowMs: 1_000_000_000 };
  const clock: Clock = { now: () => state.nowMs, sleep: () => Promise.resolve() };
  const cache = new CredentialCache(new ServerTime(clock));
  const loads: (() => Promise<Credentials>)[] = [];
  let calls = 0;
  const load = (): Promise<Credentials> => {
    calls += 1;
    return loads.shift()?.() ?? Promise.reject(new Error("nothing to load"));
  };
  const keys = (id: string, leftMs: number): (() => Promise<Credentials>) => {
    const credentials = { accessKeyId: id, secretAccessKey: new Secret("s"), expiresAtMs: state.nowMs + leftMs };
    return () => Promise.resolve(credentials);
  };
  return { state, loads, keys, calls: () => calls, get: (of: Source = source) => cache.get(of, "home", load) };
}

describe("CredentialCache", () => {
  it("loads once for 50 that ask at the moment of expiry", async () => {
    const { state, loads, keys, calls, get } = setUp();
    loads.push(keys("A", 60 * MINUTE));
    await get();
    state.nowMs += 60 * MINUTE;
    loads.push(keys("B", 60 * MINUTE));
    const all = await Promise.all(Array.from({ length: 50 }, () => get()));
    expect(new Set(all.map((each) => each.accessKeyId))).toEqual(new Set(["B"]));
    expect(calls()).toBe(2);
  });

  it("renews before the end, and keeps the old ones when that fails and they still live", async () => {
    const { state, loads, keys, calls, get } = setUp();
    loads.push(keys("A", 10 * MINUTE));
    await get();
    state.nowMs += 6 * MINUTE;
    loads.push(() => Promise.reject(new Error("away")));
    expect((await get()).accessKeyId).toBe("A");
    expect((await get()).accessKeyId).toBe("A");
    expect(calls()).toBe(2);
    state.nowMs += MINUTE;
    loads.push(keys("B", 60 * MINUTE));
    expect((await get()).accessKeyId).toBe("B");
  });

  it("never hands out credentials in their last moments", async () => {
    const { state, loads, keys, get } = setUp();
    loads.push(keys("A", 10 * MINUTE));
    await get();
    state.nowMs += 10 * MINUTE - 20_000;
    loads.push(() => Promise.reject(new Error("away")));
    await expect(get()).rejects.toThrow("away");
    loads.push(keys("C", 10_000));
    await expect(get()).rejects.toThrow("have expired");
  });

  it("does not remember a failure", async () => {
    const { loads, keys, get } = setUp();
    loads.push(() => Promise.reject(new Error("not logged in")), keys("A", 60 * MINUTE));
    await expect(get()).rejects.toThrow("not logged in");
    expect((await get()).accessKeyId).toBe("A");
  });

  it("tells sources apart by their keys", async () => {
    const { loads, keys, get } = setUp();
    const env = (secret: string): Source => ({
      kind: "env",
      keys: { accessKeyId: "A", secretAccessKey: new Secret(secret) },
    });
    loads.push(keys("first", 60 * MINUTE), keys("second", 60 * MINUTE));
    expect((await get(env("1"))).accessKeyId).toBe("first");
    expect((await get(env("2"))).accessKeyId).toBe("second");
    expect((await get(env("1"))).accessKeyId).toBe("first");
  });
});
