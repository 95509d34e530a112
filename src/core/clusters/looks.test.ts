import { afterEach, beforeEach, expect, test } from "vitest";
import { createFakeWorld, taskYaml, type FakeWorld } from "../../../test/fakes/fake-world.ts";
import { launchOperation } from "./launch.ts";
import { Looks } from "./looks.ts";
import { ownCloudContext } from "./refresh-all.ts";

let world: FakeWorld;

beforeEach(async () => {
  world = await createFakeWorld();
});

afterEach(() => world.close());

test("a look is no longer good for a cluster to which something was done since", async () => {
  for (const name of ["a", "b"])
    await world.run(launchOperation, { task: taskYaml("run: echo hi"), cluster_name: name });
  const { clouds, signal } = await world.server().context("look");
  const rows = await world.clusters();
  const looks = await Looks.take(rows, clouds, (row) => ownCloudContext(row, { signal }));
  for (const row of rows) expect(await looks.of(row)).toMatchObject([{ index: 0, state: "running" }]);
  const [row] = rows;
  if (row === undefined) throw new Error("There is no row.");
  expect(looks.of({ ...row, status_updated_at: row.status_updated_at + 1 })).toBeUndefined();
  expect(looks.of({ ...row, busy_request: "another" })).toBeUndefined();
  expect(looks.of({ ...row, cluster_hash: "launched anew under the same name" })).toBeUndefined();
});
