import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFakeWorld, taskYaml, type FakeWorld } from "../../../test/fakes/fake-world.ts";
import { launchOperation } from "../clusters/launch.ts";
import { checkOperation, enabledCloudsOperation } from "./check.ts";

let world: FakeWorld;

beforeEach(async () => {
  world = await createFakeWorld();
});

afterEach(() => world.close());

test("lists what is enabled", async () => {
  const { result, log } = await world.run(checkOperation, {});
  expect(result).toEqual({ default: { Fake: ["compute"] } });
  expect(log.plain()).toEqual([
    "Checking credentials to enable clouds for SkyPilot.",
    "  Fake: enabled [compute]",
    "  28 others are not available in this version.",
    "",
    "🎉 Enabled infra 🎉",
    "  Fake [compute]",
    "",
    "To enable a cloud, follow the hints above and rerun: sky check",
    "If any problems remain, refer to detailed docs at: https://docs.skypilot.co/en/latest/getting-started/installation.html",
  ]);
});

test("says why a cloud is off, and that others are not there yet", async () => {
  world.cloud.knobs.isEnabled = false;
  const { result, log } = await world.run(checkOperation, { clouds: ["lambda", "AWS"] });
  expect(result).toEqual({ default: {} });
  expect(log.plain().slice(1, 8)).toEqual([
    "  AWS: disabled ",
    "    Reason [compute, storage]: AWS is not available in this version.",
    "  Fake: disabled ",
    "    Reason [compute]: The fake cloud is off.",
    "",
    "🎉 Enabled infra 🎉",
    "  No infra to check/enabled.",
  ]);
});

test("shows places of the user's own each by itself, in place of the reasons that sum them up", async () => {
  const list = [
    { name: "lab", isEnabled: true, problem: "1 of 3 hosts cannot be used:\nb: it did not answer" },
    { name: "rack", isEnabled: true },
    { name: "old", isEnabled: false, problem: "Not set up." },
  ];
  const check = () =>
    Promise.resolve({ enabled: ["compute"], reasons: [], details: [], places: { title: "Pools", list } });
  Object.assign(world.cloud, { check });
  const { log } = await world.run(checkOperation, {});
  expect(log.plain().slice(1, 7)).toEqual([
    "  Fake: enabled [compute]",
    "    Pools:",
    "    ├── lab: enabled. 1 of 3 hosts cannot be used:",
    "    │   b: it did not answer",
    "    ├── rack: enabled.",
    "    └── old: disabled. Reason: Not set up.",
  ]);
  expect(log.plain().slice(10, 14)).toEqual(["  Fake [compute]", "    Pools:", "    ├── lab", "    └── rack"]);
});

test("refuses a name that no cloud has", async () => {
  await expect(world.run(checkOperation, { clouds: ["foo"] })).rejects.toThrow(
    /^Cloud 'foo' is not a valid cloud among \['aws', 'azure', /,
  );
});

test("names enabled clouds, in the long form as --infra takes them", async () => {
  expect((await world.run(enabledCloudsOperation, {})).result).toEqual(["lambda"]);
  expect((await world.run(enabledCloudsOperation, { expand: true })).result).toEqual(["lambda/"]);
});

test("shows each workspace of several, and the clouds of each when asked", async () => {
  const config = { workspaces: { team1: { lambda: { disabled: true } } } };
  const short = await world.run(checkOperation, {}, { config });
  expect(short.result).toEqual({ default: { Fake: ["compute"] }, team1: {} });
  expect(short.log.plain().slice(0, 12)).toEqual([
    "Checking credentials to enable clouds for SkyPilot (Workspaces: default, team1).",
    "",
    "Checking enabled infra for workspace: 'default'",
    "",
    "🎉 Enabled infra for workspace: 'default' 🎉",
    "  Fake [compute]",
    "",
    "Checking enabled infra for workspace: 'team1'",
    "",
    "🎉 Enabled infra for workspace: 'team1' 🎉",
    "  No infra to check/enabled.",
    "",
  ]);
  expect(short.log.plain()[12]).toBe(
    "Note: The following clouds were disabled because they were not included in allowed_clouds in ~/.sky/config.yaml or disabled for this workspace 'team1': Lambda",
  );
  const named = await world.run(checkOperation, { clouds: ["lambda"], workspace: "team1" }, { config });
  expect(named.log.plain()).toContain(
    "    Reason [compute, storage]: Lambda is disabled for the workspace 'team1' in ~/.sky/config.yaml.",
  );
});

test("says that allowed_clouds leaves a cloud out, and does not ask it", async () => {
  const { result, log } = await world.run(
    checkOperation,
    { clouds: ["lambda"] },
    { config: { allowed_clouds: ["gcp"] } },
  );
  expect(result).toEqual({ default: {} });
  expect(world.cloud.checked).toEqual([]);
  expect(log.plain()).toContain(
    "    Reason [compute, storage]: Lambda is not included in allowed_clouds in ~/.sky/config.yaml.",
  );
  expect(log.plain()).toContain(
    "Note: The following clouds were disabled because they were not included in allowed_clouds in ~/.sky/config.yaml: Lambda",
  );
});

describe("a cloud that checks over the network", () => {
  const launch = { task: taskYaml("run: echo hi"), cluster_name: "c1", dryrun: true };

  beforeEach(() => {
    world.cloud.checksOverNetwork = true;
  });

  test("is listed by its last answer, and never asked for a list", async () => {
    expect((await world.run(enabledCloudsOperation, {})).result).toEqual([]);
    await world.run(checkOperation, {});
    expect((await world.run(enabledCloudsOperation, {})).result).toEqual(["lambda"]);
    await world.restart();
    expect((await world.run(enabledCloudsOperation, {})).result).toEqual(["lambda"]);
    expect(world.cloud.checked).toEqual(["default"]);
    world.cloud.knobs.isEnabled = false;
    await world.run(checkOperation, {});
    expect((await world.run(enabledCloudsOperation, {})).result).toEqual([]);
  });

  test("is asked by the first launch only", async () => {
    await world.run(launchOperation, launch);
    await world.run(launchOperation, launch);
    expect(world.cloud.checked).toEqual(["default"]);
  });

  test("is asked again by a launch that names it while it is off", async () => {
    world.cloud.knobs.isEnabled = false;
    await expect(world.run(launchOperation, launch)).rejects.toThrow("Cloud access is not set up. Run: sky check");
    world.cloud.knobs.isEnabled = true;
    await world.run(launchOperation, launch);
    expect(world.cloud.checked).toEqual(["default", "default"]);
  });

  test("is kept apart by workspace, and left out where the config says so", async () => {
    const config = { workspaces: { team1: {} } };
    await world.run(checkOperation, { workspace: "team1" }, { config });
    expect((await world.run(enabledCloudsOperation, {}, { config })).result).toEqual([]);
    expect((await world.run(enabledCloudsOperation, { workspace: "team1" }, { config })).result).toEqual(["lambda"]);
    const without = { workspaces: { team1: { lambda: { disabled: true } } } };
    const { result } = await world.run(enabledCloudsOperation, { workspace: "team1" }, { config: without });
    expect(result).toEqual([]);
  });
});
