import { appendFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFakeWorld, taskYaml, type FakeWorld } from "../../../test/fakes/fake-world.ts";
import { launchOperation } from "./launch.ts";
import { queueOperation } from "./jobs.ts";
import { clusterEventsOperation } from "./events.ts";

let world: FakeWorld;

beforeEach(async () => {
  world = await createFakeWorld();
});

afterEach(async () => {
  await world.close();
  expect(world.backgroundErrors).toEqual([]);
});

const nameOnCloud = "c1-0a1b2c3d";

function launch(nodes = 1) {
  return world.run(launchOperation, { task: taskYaml(`num_nodes: ${nodes}\nrun: echo hi`), cluster_name: "c1" });
}

function agents(nodes: number) {
  return Array.from({ length: nodes }, (_, index) => world.fleet.node(`/fake/${nameOnCloud}/${index}`));
}

function installRelease(): void {
  appendFileSync(join(world.home, "agent.cjs"), "// newer\n");
}

describe("agents of another release", () => {
  test("are replaced on every node by a launch, and jobs go on", async () => {
    await launch(3);
    const [before] = agents(3).map((node) => node.bundle);
    installRelease();
    const { result, log } = await launch(3);
    expect(result.job_id).toBe(2);
    expect(agents(3).map((node) => node.starts)).toEqual([2, 2, 2]);
    const after = new Set(agents(3).map((node) => node.bundle));
    expect(after.size).toBe(1);
    expect(after.has(before ?? "")).toBe(false);
    expect(world.fleet.head(nameOnCloud).jobs.map((job) => job.status)).toEqual(["RUNNING", "RUNNING"]);
    expect(world.fleet.head(nameOnCloud).shutdowns.map((one) => one.jobs)).toEqual(["keep", "keep", "keep"]);
    // It never left UP.
    expect(log.plain()[0]).toBe("⚙︎ Launching on Fake east.");
    const { result: events } = await world.run(clusterEventsOperation, { cluster_name: "c1", event_type: "DEBUG" });
    expect(events).toContain("The agents were upgraded.");
  });

  test("are replaced when a server of the new release meets them, before anybody talks to them", async () => {
    await launch(2);
    installRelease();
    await world.restart();
    const { result } = await world.run(queueOperation, { cluster_name: "c1" });
    expect(result.map((job) => job.status)).toEqual(["RUNNING"]);
    expect(agents(2).map((node) => node.starts)).toEqual([2, 2]);
  });

  test("are met once: two servers of different releases do not replace each other's for ever", async () => {
    await launch();
    installRelease();
    await world.restart();
    await world.run(queueOperation, { cluster_name: "c1" });
    const [node] = agents(1);
    // Another server put its own there.
    if (node !== undefined) node.bundle = "other";
    const agent = await world.server().agents.connect("c1");
    world.fleet.disconnect(node?.root ?? "");
    await agent.closed;
    await world.run(queueOperation, { cluster_name: "c1" });
    expect(node?.starts).toBe(2);
  });

  test("that do not tell what they run are replaced", async () => {
    await launch();
    const [node] = agents(1);
    if (node !== undefined) node.bundle = undefined;
    await launch();
    expect(node?.starts).toBe(2);
  });

  test("are used as they are when the upgrade cannot be done", async () => {
    await launch();
    rmSync(join(world.home, "agent.cjs"));
    await world.restart();
    const { result } = await world.run(queueOperation, { cluster_name: "c1" });
    expect(result.map((job) => job.status)).toEqual(["RUNNING"]);
    expect(world.backgroundErrors.splice(0).map(String)).toEqual([
      expect.stringContaining("The node agent is missing"),
    ]);
  });

  test("stay when they are the same", async () => {
    await launch(2);
    await world.restart();
    await launch(2);
    expect(agents(2).map((node) => node.starts)).toEqual([1, 1]);
    expect(world.fleet.head(nameOnCloud).shutdowns).toEqual([]);
  });

  test("one worker that was left behind is found", async () => {
    await launch(3);
    const [, worker] = agents(3);
    if (worker !== undefined) worker.bundle = "old";
    await launch(3);
    expect(agents(3).map((node) => node.starts)).toEqual([1, 2, 1]);
  });
});
