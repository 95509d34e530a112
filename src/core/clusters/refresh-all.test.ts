import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createFakeWorld, taskYaml, type FakeWorld } from "../../../test/fakes/fake-world.ts";
import { updateCluster } from "../../db/queries/clusters.ts";
import { OperationFailedError } from "../../shared/errors.ts";
import { launchOperation } from "./launch.ts";
import { ownCloudContext, refreshAllClusters } from "./refresh-all.ts";
import { tendCluster } from "./repair.ts";
import { startOperation } from "./start.ts";
import { statusOperation } from "./status.ts";

let world: FakeWorld;
const errors: string[] = [];

beforeEach(async () => {
  world = await createFakeWorld();
  errors.length = 0;
});

afterEach(async () => {
  await world.close();
  expect(world.backgroundErrors).toEqual([]);
});

function launch(name: string, { nodes = 1, region = "east" } = {}) {
  const task = taskYaml(`num_nodes: ${nodes}\nrun: echo hi`, `infra: lambda/${region}`);
  return world.run(launchOperation, { task, cluster_name: name });
}

async function refresh(): Promise<void> {
  const context = await world.server().context("refresh");
  const onError = (name: string, error: unknown): void => void errors.push(`${name}: ${String(error)}`);
  const { db, clock, clouds, agents, locks, signal } = context;
  await refreshAllClusters({ db, clock, clouds, agents, locks, onError }, { signal });
}

/** Switches nodes off or away, with what runs on them. */
function setStates(name: string, states: readonly ("running" | "stopped" | "terminated")[]): void {
  states.forEach((state, index) => {
    world.cloud.setState(`${name}-0a1b2c3d`, index, state);
    if (state !== "running") world.fleet.kill(`/fake/${name}-0a1b2c3d/${index}`);
  });
}

async function statuses(): Promise<Record<string, string>> {
  return Object.fromEntries((await world.clusters()).map((row) => [row.name, `${row.status} ${row.phase}`]));
}

test("every cluster follows what happened while no server looked", async () => {
  for (const name of ["up", "off", "gone"]) await launch(name);
  await launch("half", { nodes: 2 });
  await world.server().close();
  setStates("off", ["stopped"]);
  setStates("gone", ["terminated"]);
  setStates("half", ["running", "terminated"]);
  await world.restart();
  await refresh();
  expect(await statuses()).toEqual({ up: "UP ready", off: "STOPPED ready", half: "INIT degraded" });
  expect((await world.cluster("half"))?.last_event).toBe(
    "Cluster is abnormal because one or more nodes terminated. Transitioned to INIT (details: cluster is unhealthy).",
  );
  expect(errors).toEqual([]);
});

test("a region that cannot be asked leaves its clusters as they are, and the others go on", async () => {
  for (const name of ["a", "b"]) await launch(name);
  for (const name of ["c", "d"]) await launch(name, { region: "west" });
  for (const name of ["a", "b", "c", "d"]) setStates(name, ["stopped"]);
  world.cloud.knobs.failBefore.query = [new OperationFailedError("Throttled.")];
  await refresh();
  // The newest are asked about first.
  expect(errors.toSorted()).toEqual(["c: OperationFailedError: Throttled.", "d: OperationFailedError: Throttled."]);
  expect(await statuses()).toEqual({ a: "STOPPED ready", b: "STOPPED ready", c: "UP ready", d: "UP ready" });
  await refresh();
  expect(new Set(Object.values(await statuses()))).toEqual(new Set(["STOPPED ready"]));
});

test("credentials of another account, which see no node of a cluster, do not tell that it is gone", async () => {
  world.cloud.knobs.identity = ["user-1", "account-1"];
  await launch("c");
  setStates("c", ["terminated"]);
  world.cloud.knobs.identity = ["user-2", "account-2"];
  for (const _ of [1, 2]) {
    await refresh();
    expect(await world.cluster("c")).toMatchObject({
      status: "UP",
      last_event: "The credentials that looked for its nodes are of another account: ['user-2', 'account-2'].",
    });
  }
  world.cloud.knobs.identity = ["user-2", "account-1"];
  await refresh();
  expect(await statuses()).toEqual({});
  expect(errors).toEqual([]);
});

test("the clusters of a region are asked about by one call, and stopped ones are left alone", async () => {
  for (const name of ["a", "b", "c"]) await launch(name);
  for (const name of ["a", "b"]) setStates(name, ["stopped"]);
  await refresh();
  const before = { ...world.cloud.calls };
  const rows = await world.clusters();
  await refresh();
  expect(world.cloud.calls).toEqual({ ...before, query: before.query + 1 });
  expect(await world.clusters()).toEqual(rows);
});

test("who asks for a look waits for one that the server is taking, not for a request", async () => {
  await launch("a");
  setStates("a", ["stopped"]);
  const { locks } = await world.server().context("look");
  const ask = async (): Promise<unknown> => (await world.run(statusOperation, { refresh: "FORCE" })).result;

  const request = await locks.acquire("a", "some-request");
  expect(await ask()).toMatchObject([{ status: "UP" }]);
  request();

  const look = await locks.acquire("a", "refresh");
  const tried = vi.spyOn(locks, "tryAcquire");
  const answer = ask();
  while (tried.mock.calls.length < 2) await new Promise((resolve) => setImmediate(resolve));
  look();
  expect(await answer).toMatchObject([{ status: "STOPPED" }]);
});

test("the server's own look waits for another one where something is known to have happened", async () => {
  await launch("a");
  setStates("a", ["stopped"]);
  const { requestId: _, ...context } = await world.server().context("look");
  const look = await context.locks.acquire("a", "refresh");
  const cloudContext = ownCloudContext({ workspace: "default" }, { signal: context.signal });
  const seen = (isPatient: boolean) => tendCluster("a", { ...context, isPatient }, cloudContext);
  expect(await seen(false)).toMatchObject({ status: "UP" });
  const tried = vi.spyOn(context.locks, "tryAcquire");
  const answer = seen(true);
  while (tried.mock.calls.length < 2) await new Promise((resolve) => setImmediate(resolve));
  look();
  expect(await answer).toMatchObject({ status: "STOPPED" });
});

test("one whose launch goes on after a restart is left to it", async () => {
  await launch("a");
  const row = await world.cluster("a");
  const { requestId } = await world.server().context("launching");
  await updateCluster(world.database.db, row?.cluster_hash ?? "", { busy_request: requestId });
  setStates("a", ["stopped"]);
  await refresh();
  expect(await statuses()).toEqual({ a: "UP ready" });
});

test("looking again writes nothing when nothing is new", async () => {
  await launch("a");
  await refresh();
  const before = await world.cluster("a");
  await refresh();
  expect(await world.cluster("a")).toEqual(before);
});

test("agents that died are started again, on the head and on a worker", async () => {
  await launch("a", { nodes: 2 });
  for (const index of [0, 1]) {
    world.fleet.kill(`/fake/a-0a1b2c3d/${index}`);
    const context = await world.server().context(`repair-${index}`);
    await tendCluster("a", context, ownCloudContext({ workspace: "default" }, { signal: context.signal }));
    // The server's own look at the lost connection may have come first; then that one starts the agent, and the row may still say that all is well.
    await expect.poll(() => world.fleet.running()).toHaveLength(2);
    await expect.poll(() => world.cluster("a")).toMatchObject({ status: "UP", phase: "ready" });
  }
});

test("a node that cannot be reached is left alone", async () => {
  await launch("a");
  world.fleet.kill("/fake/a-0a1b2c3d/0");
  world.fleet.unreachable.add("/fake/a-0a1b2c3d/0");
  const context = await world.server().context("repair");
  const row = await tendCluster("a", context, ownCloudContext({ workspace: "default" }, { signal: context.signal }));
  expect(row).toMatchObject({ status: "UP", phase: "unreachable" });
  expect(world.fleet.running()).toEqual([]);
});

test("start looks first: what is off is started, what does not answer is set up again, what is gone is named", async () => {
  await launch("a");
  setStates("a", ["stopped"]);
  await world.run(startOperation, { cluster_name: "a" });
  expect(await statuses()).toEqual({ a: "UP ready" });
  world.fleet.kill("/fake/a-0a1b2c3d/0");
  await world.run(startOperation, { cluster_name: "a" });
  expect(world.fleet.running()).toHaveLength(1);
  expect(await statuses()).toEqual({ a: "UP ready" });
  setStates("a", ["terminated"]);
  await expect(world.run(startOperation, { cluster_name: "a" })).rejects.toThrow(
    "Cluster 'a' does not exist any more: all its nodes were terminated.",
  );
});
