import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFakeWorld, taskYaml, type FakeWorld } from "../../../test/fakes/fake-world.ts";
import { updateCluster } from "../../db/queries/clusters.ts";
import { CloudUserIdentityError, ClusterOwnerMismatchError } from "../../shared/errors.ts";
import type { Operation } from "../operation.ts";
import { autostopOperation } from "./autostop.ts";
import { execOperation } from "./exec.ts";
import { cancelOperation, queueOperation } from "./jobs.ts";
import { launchOperation } from "./launch.ts";
import { compareIdentities } from "./owner.ts";
import { startOperation } from "./start.ts";
import { statusOperation } from "./status.ts";
import { downOperation, stopOperation } from "./stop.ts";

let world: FakeWorld;

beforeEach(async () => {
  world = await createFakeWorld({ identity: ["AROAOWNER", "111111111111"] });
  await world.run(launchOperation, { task: taskYaml("run: echo hi"), cluster_name: "c1" });
});

afterEach(async () => {
  await world.close();
});

/** Everything that changes a cluster. */
const writes: readonly (readonly [string, Operation<never, unknown>, unknown])[] = [
  ["launch", launchOperation, { task: taskYaml("run: echo more"), cluster_name: "c1" }],
  ["exec", execOperation, { task: taskYaml("run: echo more"), cluster_name: "c1" }],
  ["start", startOperation, { cluster_name: "c1" }],
  ["stop", stopOperation, { cluster_name: "c1" }],
  ["down", downOperation, { cluster_name: "c1" }],
  ["autostop", autostopOperation, { cluster_name: "c1", idle_minutes: 5 }],
  ["cancel", cancelOperation, { cluster_name: "c1", all: true }],
];

function run(operation: Operation<never, unknown>, body: unknown): Promise<unknown> {
  return world.run(operation, body as never);
}

describe("under another identity", () => {
  test.each(writes)("%s is refused, and both identities are named", async (_, operation, body) => {
    world.cloud.knobs.identity = ["AROASTRANGER", "222222222222"];
    const attempt = run(operation, body);
    await expect(attempt).rejects.toThrow(ClusterOwnerMismatchError);
    await expect(attempt).rejects.toThrow(
      "is owned by account ['AROAOWNER', '111111111111'], but the activated identity is ['AROASTRANGER', '222222222222'].",
    );
    expect((await world.cluster("c1"))?.status).toBe("UP");
  });

  test.each(writes)("%s is refused when the identity cannot be read", async (_, operation, body) => {
    world.cloud.identity = () => Promise.reject(new CloudUserIdentityError("AWS access token is expired."));
    await expect(run(operation, body)).rejects.toThrow(CloudUserIdentityError);
  });

  test("status shows the cluster, and the queue can be read", async () => {
    world.cloud.knobs.identity = ["AROASTRANGER", "222222222222"];
    const { result } = await world.run(statusOperation, {});
    expect(result).toMatchObject([{ name: "c1", status: "UP" }]);
    await world.run(queueOperation, { cluster_name: "c1" });
  });
});

test("another user of the account is let through with a warning, and becomes the owner", async () => {
  world.cloud.knobs.identity = ["AIDANEW", "111111111111"];
  const { log } = await world.run(autostopOperation, { cluster_name: "c1", idle_minutes: 5 });
  expect(log.plain().join("\n")).toContain(
    "The cluster was owned by ['AROAOWNER', '111111111111'], but a new identity ['AIDANEW', '111111111111'] is activated.",
  );
  expect((await world.cluster("c1"))?.owner).toBe('["AIDANEW","111111111111"]');
});

test("a cluster without an owner gets the first identity that changes it", async () => {
  const hash = (await world.cluster("c1"))?.cluster_hash ?? "";
  await updateCluster(world.database.db, hash, { owner: null });
  await world.run(autostopOperation, { cluster_name: "c1", idle_minutes: 5 });
  expect((await world.cluster("c1"))?.owner).toBe('["AROAOWNER","111111111111"]');
});

test.each([
  [["A", "1"], ["A", "1"], "same"],
  [["AROA:session-1", "1"], ["AROA", "1"], "same"],
  [["AROA:session-1", "1"], ["AROA:session-2", "1"], "same"],
  [["A", "1"], ["B", "1"], "same-account"],
  [["A", "1"], ["B", "2"], "other"],
  [["A", "1"], ["1", "A"], "other"],
  [["a@x.com"], ["b@x.com"], "other"],
] as const)("%j and %j are %s", (owner, identity, verdict) => {
  expect(compareIdentities(owner, identity)).toBe(verdict);
});
