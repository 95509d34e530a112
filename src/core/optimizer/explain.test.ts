import { expect, test } from "vitest";
import { createFakeWorld } from "../../../test/fakes/fake-world.ts";
import { launchOperation } from "../clusters/launch.ts";
import { optimizeOperation } from "./operation.ts";

test("a place that refused a launch a while ago says so, with what it said", async () => {
  const world = await createFakeWorld({ regions: { east: 1, west: 2 }, fullRegions: ["east"] });
  try {
    const task = "name: t\nresources: {infra: lambda}\nrun: echo\n";
    await world.run(launchOperation, { task, cluster_name: "c1" });
    expect((await world.cluster("c1"))?.region).toBe("west");
    const { result } = await world.run(optimizeOperation, { dag: task, explain: true });
    const notes = result.tasks[0]?.candidates?.map(({ region, note }) => [region, note]);
    expect(notes).toEqual([
      ["east", expect.stringMatching(/^chosen; east refused less than a minute ago and is tried last: .+/)],
      ["west", null],
    ]);
    const { result: brief } = await world.run(optimizeOperation, { dag: task });
    expect(brief.tasks[0]?.candidates).toBeUndefined();
  } finally {
    await world.close();
  }
});
