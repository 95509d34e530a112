import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { POSTGRES_START_MS } from "../../../test/fakes/databases.ts";
import { createFakeWorld, taskYaml, type FakeWorld } from "../../../test/fakes/fake-world.ts";
import type { TestServer } from "../../../test/fakes/operation-context.ts";
import { launchOperation } from "./launch.ts";
import { refreshCluster } from "./refresh.ts";
import { cloudContext } from "./cluster.ts";
import { downOperation } from "./stop.ts";

describe("two servers on one Postgres", () => {
  let world: FakeWorld;
  let other: TestServer;

  beforeEach(async () => {
    world = await createFakeWorld({}, { kind: "postgres" });
    other = await world.another("server-2");
  }, POSTGRES_START_MS);

  afterEach(async () => {
    await other.close();
    await world.close();
    expect(world.backgroundErrors).toEqual([]);
  });

  const launch = async (server: TestServer, requestId: string) =>
    launchOperation.run(
      { task: taskYaml("num_nodes: 2\nrun: echo hi"), cluster_name: "c1" },
      await server.context(requestId),
    );

  test("launch the same cluster at the same time: one makes it, the other uses it", async () => {
    const results = await Promise.all([launch(world.server(), "r1"), launch(other, "r2")]);
    expect(new Set(results.map((result) => result.job_id))).toEqual(new Set([1, 2]));
    expect(world.cloud.created).toBe(2);
    expect(await world.clusters()).toMatchObject([{ name: "c1", status: "UP", busy_request: null }]);
  });

  test("one takes down what the other launched", async () => {
    await launch(world.server(), "r1");
    await downOperation.run({ cluster_name: "c1" }, await other.context("r2"));
    expect(world.cloud.ledger()).toEqual({});
    expect(await world.clusters()).toEqual([]);
  });

  test("a refresh leaves alone what the other works on", async () => {
    await launch(world.server(), "r1");
    const release = await world
      .server()
      .context("r2")
      .then(({ locks }) => locks.acquire("c1", "r2"));
    world.cloud.setState("c1-0a1b2c3d", 0, "stopped");
    const context = await other.context("r3");
    expect((await refreshCluster("c1", context, cloudContext(context)))?.status).toBe("UP");
    release();
  });
});
