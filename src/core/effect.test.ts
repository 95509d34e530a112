import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { databaseKinds, openTestDatabase, POSTGRES_START_MS } from "../../test/fakes/databases.ts";
import { FakeClock } from "../../test/fakes/fake-clock.ts";
import type { OpenDatabase } from "../db/database.ts";
import { findEffect } from "../db/queries/effects.ts";
import { insertRequest } from "../db/queries/requests.ts";
import { RequestInterruptedError } from "../shared/errors.ts";
import { createEffect, createFailpoints, type Failpoint, type PassFailpoint } from "./effect.ts";
import type { Effect } from "./operation.ts";

const POINTS: readonly Failpoint[] = ["before-intent", "after-intent", "after-act", "after-result"];

class Crash extends Error {}

describe.each(databaseKinds)("effect() on %s", (kind) => {
  let database: OpenDatabase;
  beforeEach(async () => {
    database = await openTestDatabase(kind);
    await insertRequest(database.db, {
      request_id: "r1",
      operation: "o",
      name: "sky.o",
      status: "RUNNING",
      schedule_type: "long",
      user_id: "u",
      user_name: "u",
      cluster_name: null,
      body: "{}",
      sealed_body: null,
      return_value: null,
      error: null,
      status_msg: null,
      file_mounts_blob_id: null,
      created_at: 1,
      finished_at: null,
      lease_owner: "s1",
      lease_token: 7,
      lease_expires_at: null,
      cancel_requested: 0,
      attempts: 1,
    });
  }, POSTGRES_START_MS);
  afterEach(() => database.close());

  function make(passFailpoint?: PassFailpoint, leaseToken = 7): Effect {
    return createEffect({
      ...database,
      requestId: "r1",
      leaseToken,
      clock: new FakeClock(),
      ...(passFailpoint === undefined ? {} : { passFailpoint }),
    });
  }

  test("a finished effect answers from the journal", async () => {
    let calls = 0;
    const act = (): Promise<{ made: number }> => Promise.resolve({ made: ++calls });
    expect(await make()("create", act)).toEqual({ made: 1 });
    expect(await make()("create", act)).toEqual({ made: 1 });
    expect(await make()("other", act)).toEqual({ made: 2 });
    expect(await findEffect(database.db, "r1", { name: "create" })).toMatchObject({
      state: "done",
      result: '{"made":1}',
    });
  });

  test("an effect without a result stays without", async () => {
    expect(await make()("create", () => Promise.resolve())).toBeUndefined();
    expect(await make()("create", () => Promise.reject(new Error("again")))).toBeUndefined();
  });

  test("an act that failed is done again under the same token", async () => {
    const tokens: string[] = [];
    const failing = (token: string): Promise<never> => {
      tokens.push(token);
      return Promise.reject(new Error("no capacity"));
    };
    await expect(make()("create", failing)).rejects.toThrow("no capacity");
    await make()("create", (token) => Promise.resolve(tokens.push(token)));
    expect(tokens[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(tokens[1]).toBe(tokens[0]);
  });

  test.each(POINTS)("a crash %s loses nothing and repeats at most the act itself", async (point) => {
    const tokens: string[] = [];
    const act = (token: string): Promise<string> => {
      tokens.push(token);
      return Promise.resolve("done");
    };
    const crashing = make((_name, passed) => {
      if (passed === point) throw new Crash();
    });
    await expect(crashing("create", act)).rejects.toThrow(Crash);
    expect(await make()("create", act)).toBe("done");
    expect(new Set(tokens).size).toBe(1);
    expect(tokens).toHaveLength(point === "after-act" ? 2 : 1);
  });

  test("a server that lost its lease does not act", async () => {
    let calls = 0;
    const late = make(undefined, 6);
    await expect(late("create", () => Promise.resolve(++calls))).rejects.toThrow(RequestInterruptedError);
    expect(calls).toBe(0);
    expect(await findEffect(database.db, "r1", { name: "create" })).toBeUndefined();
  });
});

describe("failpoints", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "failpoints-"));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  test("passes are listed with their count", () => {
    const listFile = join(directory, "list");
    const pass = createFailpoints({ listFile });
    pass?.("a:b", "before-intent");
    pass?.("a:b", "after-act");
    pass?.("a:b", "before-intent");
    expect(readFileSync(listFile, "utf8")).toBe("a:b:1:before-intent\na:b:1:after-act\na:b:2:before-intent\n");
  });

  test("without settings there are none, and a malformed one is refused", () => {
    expect(createFailpoints({})).toBeUndefined();
    expect(() => createFailpoints({ killAt: "name:0:after-act" })).toThrow(RangeError);
    expect(() => createFailpoints({ killAt: "name:after-act" })).toThrow(RangeError);
    expect(createFailpoints({ killAt: "with:colon:2:after-act" })).toBeDefined();
  });
});
