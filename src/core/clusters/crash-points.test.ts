import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { crashAt, CrashError, createFakeWorld, taskYaml, type FakeWorld } from "../../../test/fakes/fake-world.ts";
import type { Operation } from "../operation.ts";
import { autostopOperation } from "./autostop.ts";
import { execOperation } from "./exec.ts";
import { launchOperation } from "./launch.ts";
import { startOperation } from "./start.ts";
import { downOperation, stopOperation } from "./stop.ts";

let world: FakeWorld;

beforeEach(async () => {
  world = await createFakeWorld();
});

afterEach(async () => {
  await world.close();
});

const nameOnCloud = "c1-0a1b2c3d";

interface Scenario {
  readonly prepare: () => Promise<void>;
  readonly run: (options: {
    readonly requestId: string;
    readonly passFailpoint?: ReturnType<typeof crashAt>["pass"];
  }) => Promise<unknown>;
  /** What the world must be like when the request has ended. */
  readonly check: () => Promise<void>;
}

function operation<Body, Result>(name: Operation<Body, Result>, body: Body): Scenario["run"] {
  return async (options) => (await world.run(name, body, options)).result;
}

async function launchFirst(): Promise<void> {
  await world.run(
    launchOperation,
    { task: taskYaml("num_nodes: 2\nrun: first"), cluster_name: "c1" },
    { requestId: "first" },
  );
}

async function stopFirst(): Promise<void> {
  await launchFirst();
  await world.run(stopOperation, { cluster_name: "c1" }, { requestId: "stopped" });
}

/** The nodes are those of the row, and each was made once. */
async function checkUp(jobs: number): Promise<void> {
  const clusters = await world.clusters();
  expect(clusters.map((row) => [row.name, row.status])).toEqual([["c1", "UP"]]);
  const ledger = world.cloud.ledger();
  expect(Object.keys(ledger)).toEqual([nameOnCloud]);
  expect(ledger[nameOnCloud]?.map((one) => one.state)).toEqual(["running", "running"]);
  expect(world.cloud.created).toBe(2);
  expect(world.fleet.running()).toHaveLength(2);
  expect(world.fleet.head(nameOnCloud).jobs).toHaveLength(jobs);
}

const scenarios: Readonly<Record<string, Scenario>> = {
  "launch of a new cluster": {
    prepare: async () => {
      mkdirSync(join(world.home, "wd"));
      writeFileSync(join(world.home, "wd", "a.txt"), "AAA");
    },
    run: (options) =>
      operation(launchOperation, {
        task: taskYaml(`num_nodes: 2\nworkdir: ${join(world.home, "wd")}\nsetup: make\nrun: echo hi`),
        cluster_name: "c1",
        idle_minutes_to_autostop: 5,
      })(options),
    check: async () => {
      await checkUp(1);
      expect((await world.cluster("c1"))?.autostop).toBe(5);
    },
  },
  "launch after a refusal": {
    prepare: () => {
      world.cloud.knobs.fullRegions = ["east"];
      return Promise.resolve();
    },
    run: operation(launchOperation, { task: taskYaml("num_nodes: 2\nrun: echo hi"), cluster_name: "c1" }),
    check: async () => {
      await checkUp(1);
      expect((await world.cluster("c1"))?.region).toBe("west");
    },
  },
  "launch with the disk of another cluster": {
    prepare: async () => {
      await world.run(launchOperation, { task: taskYaml("run: old"), cluster_name: "src" }, { requestId: "first" });
      await world.run(stopOperation, { cluster_name: "src" }, { requestId: "stopped" });
    },
    run: operation(launchOperation, {
      task: taskYaml("num_nodes: 2\nrun: echo hi"),
      cluster_name: "c1",
      clone_disk_from: "src",
    }),
    check: async () => {
      const states = (await world.clusters()).map((row) => [row.name, row.status] as const);
      expect(Object.fromEntries(states)).toEqual({ c1: "UP", src: "STOPPED" });
      const wish = (await world.cluster("c1"))?.node_wish ?? "";
      expect(JSON.parse(wish)).toMatchObject({ imageId: expect.stringMatching(/^disk skypilot-clone-/u) as string });
      expect(world.cloud.ledger()[nameOnCloud]).toHaveLength(2);
      expect(world.cloud.disks.size).toBe(0);
    },
  },
  "launch on a stopped cluster": {
    prepare: stopFirst,
    run: operation(launchOperation, { task: taskYaml("num_nodes: 2\nrun: second"), cluster_name: "c1" }),
    check: async () => {
      await checkUp(2);
      expect(world.fleet.head(nameOnCloud).jobs[0]?.status).toBe("FAILED_DRIVER");
    },
  },
  "launch on agents of another release": {
    prepare: async () => {
      await launchFirst();
      appendFileSync(join(world.home, "agent.cjs"), "// newer\n");
    },
    run: operation(launchOperation, { task: taskYaml("num_nodes: 2\nrun: second"), cluster_name: "c1" }),
    check: async () => {
      await checkUp(2);
      expect(world.fleet.head(nameOnCloud).jobs.map((job) => job.status)).toEqual(["RUNNING", "RUNNING"]);
      const nodes = [0, 1].map((index) => world.fleet.node(`/fake/${nameOnCloud}/${index}`));
      expect(nodes.map((node) => node.starts)).toEqual([2, 2]);
    },
  },
  start: { prepare: stopFirst, run: operation(startOperation, { cluster_name: "c1" }), check: () => checkUp(1) },
  exec: {
    prepare: launchFirst,
    run: operation(execOperation, { task: taskYaml("run: second"), cluster_name: "c1" }),
    check: () => checkUp(2),
  },
  autostop: {
    prepare: launchFirst,
    run: operation(autostopOperation, { cluster_name: "c1", idle_minutes: 7 }),
    check: async () => {
      await checkUp(1);
      expect(world.fleet.head(nameOnCloud).autostop?.idleMinutes).toBe(7);
      expect((await world.cluster("c1"))?.autostop).toBe(7);
    },
  },
  stop: {
    prepare: launchFirst,
    run: operation(stopOperation, { cluster_name: "c1" }),
    check: async () => {
      expect((await world.cluster("c1"))?.status).toBe("STOPPED");
      expect(world.cloud.ledger()[nameOnCloud]?.map((one) => one.state)).toEqual(["stopped", "stopped"]);
      expect(world.fleet.running()).toEqual([]);
    },
  },
  down: {
    prepare: launchFirst,
    run: operation(downOperation, { cluster_name: "c1" }),
    check: async () => {
      expect(await world.clusters()).toEqual([]);
      expect(world.cloud.ledger()).toEqual({});
      expect(world.fleet.running()).toEqual([]);
    },
  },
};

/** How many failpoints a clean run passes; the answer also proves that the scenario itself holds. */
async function countPoints(scenario: Scenario): Promise<number> {
  await scenario.prepare();
  const counter = crashAt(-1);
  await scenario.run({ requestId: "r", passFailpoint: counter.pass });
  await scenario.check();
  return counter.passed().length;
}

describe.each(Object.entries(scenarios))("%s", (_, scenario) => {
  test("goes on from every point at which the server may die", async () => {
    const points = await countPoints(scenario);
    expect(points).toBeGreaterThan(3);
    for (let point = 0; point < points; point++) {
      await world.close();
      world = await createFakeWorld();
      await scenario.prepare();
      const crash = crashAt(point);
      await expect(scenario.run({ requestId: "r", passFailpoint: crash.pass })).rejects.toThrow(CrashError);
      await world.restart();
      await scenario.run({ requestId: "r" });
      await scenario.check();
    }
  });

  test("done twice changes nothing", async () => {
    await scenario.prepare();
    const first = await scenario.run({ requestId: "r" });
    await world.restart();
    const second = await scenario.run({ requestId: "r" });
    expect(second).toEqual(first);
    await scenario.check();
  });
});
