import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFakeWorld, taskYaml, type FakeWorld } from "../../../test/fakes/fake-world.ts";
import { saveClusterMount } from "../../db/queries/cluster-mounts.ts";
import { cancelOperation } from "./jobs.ts";
import { launchOperation } from "./launch.ts";
import { stopOperation } from "./stop.ts";

let world: FakeWorld;
beforeEach(async () => {
  world = await createFakeWorld();
});
afterEach(() => world.close());

const nameOnCloud = "c1-0a1b2c3d";

async function launch(nodes: number): Promise<readonly string[]> {
  const task = taskYaml(`num_nodes: ${nodes}`);
  const { log } = await world.run(launchOperation, { task, cluster_name: "c1", resize: true });
  return log.plain().filter((line) => line.startsWith("WARNING:"));
}

describe("a cluster that loses nodes", () => {
  beforeEach(async () => {
    await launch(3);
    await world.run(cancelOperation, { cluster_name: "c1", all: true });
  });

  async function mount(dest: string, isReadOnly = false): Promise<void> {
    const hash = (await world.cluster("c1"))?.cluster_hash ?? "";
    const spec = JSON.stringify({ dest, bucket: "b", isReadOnly });
    await saveClusterMount(world.database.db, { cluster_hash: hash, dest, store: "S3", spec, replaces: null });
  }

  test("says what they could not upload, and nothing of those that stay", async () => {
    await mount("~/ckpt");
    world.fleet.head(nameOnCloud).unsent = [0, 1, 2].map((node) => ({ node, what: `${node}.txt is not in s3://b.` }));
    expect(await launch(2)).toEqual(["WARNING: 2.txt is not in s3://b. It is lost with node 2."]);
    expect(await world.cluster("c1")).toMatchObject({ num_nodes: 2, status: "UP" });
  });

  test("says what may be lost when an older agent does not know how to wait", async () => {
    await mount("~/ckpt");
    await mount("~/read", true);
    world.fleet.head(nameOnCloud).unsent = undefined;
    expect(await launch(1)).toEqual([
      "WARNING: The cluster's agent is of an older release, which does not wait for uploads. What was not uploaded yet of ~/ckpt is lost with the nodes that go.",
    ]);
  });

  test("says so of a head that cannot be reached, too", async () => {
    await mount("~/ckpt");
    world.fleet.kill(`/fake/${nameOnCloud}/0`);
    expect(await launch(1)).toEqual([
      expect.stringMatching(/^WARNING: .* What was not uploaded yet of ~\/ckpt is lost with the nodes that go\.$/u),
    ]);
    expect(world.fleet.running()).toHaveLength(1);
  });

  test("says so of nodes that are stopped", async () => {
    await mount("~/ckpt");
    await world.run(stopOperation, { cluster_name: "c1" });
    expect(await launch(1)).toEqual([
      "WARNING: Nodes that are stopped upload nothing. What was not uploaded yet of ~/ckpt is lost with the nodes that go.",
    ]);
  });

  test("says nothing without buckets that are written to, nor when nodes come", async () => {
    await mount("~/read", true);
    world.fleet.head(nameOnCloud).unsent = undefined;
    expect(await launch(2)).toEqual([]);
    await mount("~/ckpt");
    await world.run(cancelOperation, { cluster_name: "c1", all: true });
    expect(await launch(3)).toEqual([]);
  });
});
