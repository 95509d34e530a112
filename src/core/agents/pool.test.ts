import { afterEach, beforeEach, expect, test } from "vitest";
import { createFakeWorld, taskYaml, type FakeWorld } from "../../../test/fakes/fake-world.ts";
import { waitFor } from "../../../test/fakes/wait-for.ts";
import { AgentError } from "../../shared/errors.ts";
import { launchOperation } from "../clusters/launch.ts";
import { AgentPool } from "./pool.ts";

const CLUSTERS = 40;
let world: FakeWorld;

beforeEach(async () => {
  world = await createFakeWorld();
  await world.run(launchOperation, { task: taskYaml("run: echo hi"), cluster_name: "c0" });
  const row = await world.cluster("c0");
  if (row === undefined) throw new Error("The launch left no row.");
  const { db } = world.database;
  for (let index = 1; index < CLUSTERS; index += 1) {
    await db
      .insertInto("clusters")
      .values({ ...row, name: `c${index}`, cluster_hash: `hash-${index}` })
      .execute();
  }
});
afterEach(() => world.close());

test("clusters that cannot be reached after a restart are tried a few at a time, each less and less often", async () => {
  const pauses: number[] = [];
  const asked: string[] = [];
  const errors: unknown[] = [];
  const gate = Promise.withResolvers<never>();
  let [dialling, most] = [0, 0];
  const runner = {
    connectAgent: async (): Promise<never> => {
      dialling += 1;
      most = Math.max(most, dialling);
      await gate.promise.finally(() => (dialling -= 1));
      throw new Error("unreachable");
    },
  };
  const pool = new AgentPool({
    db: world.database.db,
    clouds: { names: () => [], load: () => Promise.resolve({ runner: () => Promise.resolve(runner) } as never) },
    clock: {
      now: () => 0,
      sleep: async (ms) => {
        pauses.push(ms);
        await new Promise((resolve) => setImmediate(resolve));
      },
    },
    onEvent: () => Promise.resolve(),
    onLost: (name) => {
      asked.push(name);
      return Promise.resolve(asked.filter((one) => one === name).length < 4);
    },
    onError: (_name, error) => errors.push(error),
  });
  await pool.resume();
  await waitFor("the first attempts", () => dialling === 8);
  await new Promise((resolve) => setImmediate(resolve));
  expect(most).toBe(8);
  gate.reject(new AgentError("Nobody answers."));
  await waitFor("every cluster to be given up", () => asked.length === CLUSTERS * 4);
  expect(most).toBe(8);
  for (const pause of [100, 200, 400]) expect(pauses.filter((ms) => ms === pause)).toHaveLength(CLUSTERS);
  await pool.close();
  expect(errors).toEqual([]);
});

test("what an agent tells and nobody can take in is asked for again, but not at once", async () => {
  const pauses: number[] = [];
  const errors: unknown[] = [];
  const cloud = await world.server().clouds.load("lambda");
  for (const head of world.fleet.heads()) head.push({ type: "autostopping", down: false });
  const pool = new AgentPool({
    db: world.database.db,
    clouds: { names: () => ["lambda"], load: () => Promise.resolve(cloud) },
    clock: {
      now: () => 0,
      sleep: async (ms) => {
        pauses.push(ms);
        await new Promise((resolve) => setImmediate(resolve));
      },
    },
    onEvent: () => Promise.reject(new Error("disk full")),
    onLost: () => Promise.resolve(false),
    onError: (_name, error) => errors.push(error),
  });
  await pool.connect("c0");
  await waitFor("several attempts", () => errors.length > 3);
  await pool.close();
  // One pause for each, and no more than one attempt may have been cut short by the end.
  expect(pauses.filter((ms) => ms === 1000).length).toBeGreaterThanOrEqual(errors.length - 1);
});
