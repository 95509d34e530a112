import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFakeWorld, taskYaml, type FakeWorld } from "../../../test/fakes/fake-world.ts";
import { autostopOperation } from "../clusters/autostop.ts";
import { execOperation } from "../clusters/exec.ts";
import { launchOperation } from "../clusters/launch.ts";
import { cloudSessionsOperation } from "./sessions.ts";

const MINUTE = 60_000;
const task = taskYaml("run: echo hi");
let world: FakeWorld;

beforeEach(async () => {
  world = await createFakeWorld();
  await world.run(launchOperation, { task, cluster_name: "c1" });
});

afterEach(() => world.close());

/** Half a minute more, so that the seconds of a slow test change nothing. */
async function endIn(minutes: number): Promise<void> {
  const { context } = await world.run(cloudSessionsOperation, {});
  world.cloud.knobs.expiresAtMs = context.clock.now() + minutes * MINUTE + MINUTE / 2;
}

/** What was said of the session. */
function warnings(log: { plain(): string[] }): readonly string[] {
  return log.plain().filter((line) => line.includes("session"));
}

describe("time left", () => {
  test("is listed for credentials that end", async () => {
    await endIn(90);
    const { result } = await world.run(cloudSessionsOperation, {});
    const expires_at = (world.cloud.knobs.expiresAtMs ?? 0) / 1000;
    expect(result).toEqual([{ cloud: "Fake", kind: "sso", profile: "dev", expires_at }]);
  });

  test("is not listed for credentials that do not end, or of a cloud that is off", async () => {
    expect((await world.run(cloudSessionsOperation, {})).result).toEqual([]);
    await endIn(90);
    world.cloud.knobs.isEnabled = false;
    expect((await world.run(cloudSessionsOperation, {})).result).toEqual([]);
  });

  test("does not ask the cloud", async () => {
    world.cloud.checksOverNetwork = true;
    const before = world.cloud.checked.length;
    world.cloud.credentials = () => Promise.reject(new Error("asked"));
    await world.run(cloudSessionsOperation, {});
    expect(world.cloud.checked).toHaveLength(before);
  });
});

describe("a warning", () => {
  const idle =
    "The Fake session of profile 'dev' ends in 30m, before cluster 'c1' has been idle for 45 minutes: unless you log in again until then, it is not stopped and goes on costing money.";

  test("names the autostop that comes after the end", async () => {
    await endIn(30);
    const { log } = await world.run(autostopOperation, { cluster_name: "c1", idle_minutes: 45 });
    expect(warnings(log)).toEqual([idle]);
    expect(warnings((await world.run(execOperation, { task, cluster_name: "c1" })).log)).toEqual([idle]);
    const down = await world.run(launchOperation, {
      task,
      cluster_name: "c1",
      idle_minutes_to_autostop: 45,
      down: true,
    });
    expect(warnings(down.log)).toEqual([idle.replace("stopped", "torn down")]);
  });

  test("is not given for an autostop before the end, or one that is cancelled", async () => {
    await endIn(90);
    const { log } = await world.run(autostopOperation, { cluster_name: "c1", idle_minutes: 45 });
    const cancelled = await world.run(autostopOperation, { cluster_name: "c1", idle_minutes: -1 });
    expect([...warnings(log), ...warnings(cancelled.log)]).toEqual([]);
  });

  test.each(["launch", "exec"] as const)("says at %s that the job may outlive the session", async (name) => {
    await endIn(30);
    const operation = name === "launch" ? launchOperation : execOperation;
    const { log } = await world.run(operation, { task, cluster_name: "c1" });
    expect(warnings(log)).toEqual([
      "The Fake session of profile 'dev' ends in 30m: a job that takes longer goes on, but its cluster cannot be stopped until you log in again.",
    ]);
    await endIn(90);
    expect(warnings((await world.run(operation, { task, cluster_name: "c1" })).log)).toEqual([]);
  });

  test("does not stand in the way when the credentials cannot be read", async () => {
    world.cloud.knownCredentials = (): never => {
      throw new Error("unreadable");
    };
    const { result, log } = await world.run(execOperation, { task, cluster_name: "c1" });
    expect(result.job_id).toBe(2);
    expect(warnings(log)).toEqual([]);
  });
});
