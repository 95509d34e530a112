import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFakeWorld, taskYaml, type FakeWorld } from "../../../test/fakes/fake-world.ts";
import type { FakeSettings } from "../../clouds/fake/settings.ts";
import { CloudAccessError, RegionUnusableError } from "../../shared/errors.ts";
import { launchOperation } from "./launch.ts";
import { startOperation } from "./start.ts";
import { downOperation, stopOperation } from "./stop.ts";

let world: FakeWorld;
const zones = { regions: { east: ["east-a", "east-b"], west: ["west-a"] } };

beforeEach(async () => {
  world = await createFakeWorld({ settings: zones });
});

afterEach(async () => {
  await world.close();
  expect(world.backgroundErrors).toEqual([]);
});

function set(settings: Partial<FakeSettings>): void {
  world.cloud.knobs.settings = { ...zones, ...settings };
}

function launch(name: string, body: Partial<Parameters<typeof launchOperation.run>[0]> = {}) {
  return world.run(launchOperation, { task: taskYaml("run: echo hi"), cluster_name: name, ...body });
}

async function zoneOf(name: string): Promise<string | null | undefined> {
  return (await world.cluster(name))?.zone;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : "";
}

describe("the walk", () => {
  test("asks the zones of a region one by one, then the next region, in few lines", async () => {
    set({ capacity: { "east-a": 0, "east-b": 0, "west-a": 4 } });
    const { log } = await launch("c1");
    const lines = log.plain();
    const from = lines.indexOf("⚙︎ Launching on Fake east (east-a, east-b).");
    expect(lines.slice(from, from + 6)).toEqual([
      "⚙︎ Launching on Fake east (east-a, east-b).",
      "├── east-a: There is room for 0 more fake.large, 1 asked (InsufficientCapacity).",
      "├── east-b: There is room for 0 more fake.large, 1 asked (InsufficientCapacity).",
      "↺ Trying other potential resources.",
      "⚙︎ Launching on Fake west (west-a).",
      "└── Instance is up.",
    ]);
    expect(lines.filter((line) => line.startsWith("Considered resources"))).toHaveLength(1);
  });

  test("a quota rules the region out, not the spot market", async () => {
    set({ quotas: { "east/standard": 0 } });
    const { log } = await launch("c1");
    expect(await zoneOf("c1")).toBe("west-a");
    expect(log.plain().filter((line) => line.includes("QuotaExceeded"))).toHaveLength(1);
    await launch("c2", { task: taskYaml("run: a", "infra: lambda\nuse_spot: true") });
    expect(await zoneOf("c2")).toBe("east-a");
  });

  test("an unusable network rules the region out", async () => {
    set({ broken_networks: ["east"] });
    await launch("c1");
    expect(await zoneOf("c1")).toBe("west-a");
    expect(world.cloud.calls.run).toBe(2);
  });

  test("a denied call ends it at once, names who was denied what, and is not retried", async () => {
    const denied = { action: "ec2:RunInstances", principal: "arn:aws:iam::1:user/ann" };
    world.cloud.knobs.failBefore.run = [
      new CloudAccessError("ann may not do ec2:RunInstances.", { denied, hint: "Ask for it." }),
    ];
    await expect(launch("c1", { retry_until_up: true })).rejects.toMatchObject({
      message: expect.stringMatching(/✗ Fake \(east\)[^\n]*\n {2}ann may not do ec2:RunInstances\./) as string,
      hint: "Ask for it.",
      noFailover: true,
    });
    expect(world.cloud.calls.run).toBe(1);
    expect(await world.clusters()).toEqual([]);
  });

  test("every place has its own reason in the end", async () => {
    set({ capacity: { "east-a": 0, "east-b": 2 }, quotas: { "west/standard": 4 } });
    const task = taskYaml("num_nodes: 3\nrun: a");
    const error = await launch("c1", { task }).catch((thrown: unknown) => thrown);
    expect(messageOf(error).split("\n").slice(3)).toEqual([
      "Provision failures (tried 2 infra):",
      "",
      "✗ Fake (east) — 3x(cpus=4, mem=16, fake.large, ...)",
      "  east-a: There is room for 0 more fake.large, 3 asked (InsufficientCapacity).",
      "  east-b: There is room for 2 more fake.large, 3 asked (InsufficientCapacity).",
      "",
      "✗ Fake (west) — 3x(cpus=4, mem=16, fake.large, ...)",
      "  standard nodes in west may have 4 vCPUs, 0 are in use, 12 were asked for (QuotaExceeded).",
    ]);
  });

  test("nodes that came up in a zone that got full are ended before the next zone is asked", async () => {
    set({ gang: false, visible_after: 3, capacity: { "east-a": 5, "east-b": 0, "west-a": 8 } });
    await launch("c1", { task: taskYaml("num_nodes: 8\nrun: a") });
    expect(await zoneOf("c1")).toBe("west-a");
    const { ledger } = world.cloud.store;
    expect(ledger.map((entry) => `${entry.what} ${entry.zone}`).join("\n")).toBe(
      [
        ...Array.from({ length: 5 }, () => "created east-a"),
        ...Array.from({ length: 5 }, () => "terminated east-a"),
        ...Array.from({ length: 8 }, () => "created west-a"),
      ].join("\n"),
    );
  });

  test("a node that the cloud takes away while it starts is a refusal of the place", async () => {
    set({ running_after: 60, spot_ends_after: 10 });
    const task = taskYaml("run: a", "infra: lambda\nuse_spot: true");
    const error = await launch("c1", { task }).catch((thrown: unknown) => thrown);
    expect(messageOf(error).match(/The cloud ended node 0 \(fake-00000\d\)/g)).toEqual([
      "The cloud ended node 0 (fake-000001)",
      "The cloud ended node 0 (fake-000002)",
      "The cloud ended node 0 (fake-000003)",
    ]);
    expect(await world.clusters()).toEqual([]);
  });

  test("what cannot be removed stops it, and the row stays", async () => {
    set({ gang: false, capacity: { "east-a": 1 } });
    world.cloud.knobs.failBefore.terminate = [new RegionUnusableError("The console says no.")];
    await expect(launch("c1", { task: taskYaml("num_nodes: 2\nrun: a") })).rejects.toThrow(
      /During provisioner's failover, terminating 'c1' failed\.[\s\S]*Details: The console says no\./,
    );
    expect((await world.cluster("c1"))?.status).toBe("INIT");
    await world.run(downOperation, { cluster_name: "c1" });
    expect(world.cloud.ledger()).toEqual({});
  });
});

describe("a cluster that exists", () => {
  test("and was up goes nowhere else, and stays stopped", async () => {
    await launch("c1");
    await world.run(stopOperation, { cluster_name: "c1" });
    set({ default_capacity: 0, capacity: {} });
    await expect(world.run(startOperation, { cluster_name: "c1" })).rejects.toThrow(
      "Failed to launch cluster 'c1' (previous status: STOPPED). To retry launching the cluster, run: sky start c1",
    );
    expect(await world.cluster("c1")).toMatchObject({ status: "STOPPED", phase: "ready", zone: "east-a" });
  });
});

describe("the memory of refusals", () => {
  test("lets other launches try a place last for ten minutes", async () => {
    set({ capacity: { "east-a": 0 } });
    await launch("c1");
    set({});
    const { log } = await launch("c2");
    expect(await zoneOf("c2")).toBe("east-b");
    expect(log.plain()).toContain("Tried last, because of a refusal a short while ago: east-a (fake.large).");
    await world.clock.sleep(600_001);
    await launch("c3");
    expect(await zoneOf("c3")).toBe("east-a");
  });

  test("ends when a cluster there makes room, and when the place takes one", async () => {
    set({ quotas: { "east/standard": 4 } });
    await launch("c1");
    await launch("c2");
    expect(await zoneOf("c2")).toBe("west-a");
    await world.run(downOperation, { cluster_name: "c1" });
    await launch("c3");
    expect(await zoneOf("c3")).toBe("east-a");
  });

  test("belongs to an account", async () => {
    set({ capacity: { "east-a": 0 } });
    world.cloud.knobs.identity = ["ann", "111"];
    await launch("c1");
    set({});
    world.cloud.knobs.identity = ["bob", "222"];
    await launch("c2");
    expect(await zoneOf("c2")).toBe("east-a");
  });
});
