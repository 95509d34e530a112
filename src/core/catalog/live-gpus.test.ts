import { afterEach, beforeEach, expect, test } from "vitest";
import { createFakeWorld, type FakeWorld } from "../../../test/fakes/fake-world.ts";
import { LiveGpusBody, NodeInfoBody } from "../../shared/wire/live-gpus.ts";
import type { MachineUse } from "../ports/cloud.ts";
import { liveGpusOperation, nodeInfoOperation } from "./live-gpus.ts";

let world: FakeWorld;

const machine = (name: string, gpus: MachineUse["gpus"], problem?: string): MachineUse => ({
  name,
  address: "10.0.0.1",
  cpus: { total: 8, free: 6 },
  memoryGib: { total: 31.5, free: 31.5 },
  gpus,
  ...(problem === undefined ? {} : { problem }),
});

const GROUPS = [
  {
    region: "lab",
    machines: [
      machine("a", { L4: { total: 6, free: 3 }, T4: { total: 1, free: 1 } }),
      machine("b", { L4: { total: 2, free: 2 } }),
    ],
  },
  { region: "rack", machines: [machine("r", { H100: { total: 8, free: 0 } }, "it did not answer")] },
  { region: "cpus", machines: [machine("c", {})] },
];

beforeEach(async () => {
  world = await createFakeWorld();
  Object.assign(world.cloud, {
    machines: (_: unknown, region?: string) =>
      Promise.resolve(GROUPS.filter((group) => region === undefined || group.region === region)),
  });
});

afterEach(() => world.close());

async function gpus(body: Readonly<Record<string, unknown>>) {
  return (await world.run(liveGpusOperation, LiveGpusBody.parse(body))).result;
}

async function nodes(context: string) {
  return (await world.run(nodeInfoOperation, NodeInfoBody.parse({ context }))).result;
}

test("counts accelerators by pool, under the names that the protocol has for contexts", async () => {
  expect(await gpus({ is_ssh: true })).toEqual([
    [
      "ssh-lab",
      [
        ["L4", [1, 2, 4, 6], 8, 5],
        ["T4", [1], 1, 1],
      ],
    ],
    ["ssh-rack", [["H100", [1, 2, 4, 8], 8, 0]]],
  ]);
});

test.each(["lab", "ssh-lab"])("one pool is asked for as %s, one accelerator by part of its name", async (context) => {
  expect(await gpus({ context, name_filter: "l4" })).toEqual([["ssh-lab", [["L4", [1, 2, 4, 6], 8, 5]]]]);
});

test("a quantity counts only hosts that have as many free", async () => {
  expect(await gpus({ name_filter: "L4", quantity_filter: 3 })).toEqual([["ssh-lab", [["L4", [3], 8, 3]]]]);
  await expect(gpus({ name_filter: "L4", quantity_filter: 7 })).rejects.toThrow(
    "Resources 'L4' with requested quantity 7 not found in SSH Node Pools.",
  );
});

test("where there are none it says so", async () => {
  await expect(gpus({ context: "cpus" })).rejects.toThrow("No GPUs found in SSH Node Pools.");
  await expect(gpus({ is_ssh: false })).rejects.toThrow("No GPUs found in any allowed Kubernetes cluster.");
});

test("tells of each machine, of one with two kinds twice, and why one cannot be used", async () => {
  const lab = await nodes("ssh-lab");
  expect(Object.keys(lab.node_info_dict)).toEqual(["a", "a (T4)", "b"]);
  expect(lab.node_info_dict["a"]).toEqual({
    name: "a",
    accelerator_type: "L4",
    total: { accelerator_count: 6 },
    free: { accelerators_available: 3 },
    ip_address: "10.0.0.1",
    cpu_count: 8,
    memory_gb: 31.5,
    cpu_free: 6,
    memory_free_gb: 31.5,
    is_ready: true,
  });
  const rack = await nodes("ssh-rack");
  expect(rack).toMatchObject({ hint: "r: it did not answer", node_info_dict: { r: { is_ready: false } } });
  const cpus = await nodes("cpus");
  expect(cpus.node_info_dict["c"]).toMatchObject({ accelerator_type: null, total: { accelerator_count: 0 } });
});
