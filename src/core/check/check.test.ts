import { afterEach, beforeEach, expect, test } from "vitest";
import { createFakeWorld, type FakeWorld } from "../../../test/fakes/fake-world.ts";
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
    "  24 others are not available in this version.",
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

test("refuses a name that no cloud has", async () => {
  await expect(world.run(checkOperation, { clouds: ["foo"] })).rejects.toThrow(
    /^Cloud 'foo' is not a valid cloud among \['aws', 'azure', /,
  );
});

test("names enabled clouds, in the long form as --infra takes them", async () => {
  expect((await world.run(enabledCloudsOperation, {})).result).toEqual(["Fake"]);
  expect((await world.run(enabledCloudsOperation, { expand: true })).result).toEqual(["lambda/"]);
});
