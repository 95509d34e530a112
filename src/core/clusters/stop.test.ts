import { afterEach, beforeEach, expect, test } from "vitest";
import { createFakeWorld, taskYaml, type FakeWorld } from "../../../test/fakes/fake-world.ts";
import { saveClusterMount } from "../../db/queries/cluster-mounts.ts";
import type { UploadWait } from "../../shared/agent/upload-wait.ts";
import type { StopOrDownBody } from "./bodies.ts";
import { launchOperation } from "./launch.ts";
import { downOperation, stopOperation } from "./stop.ts";

const ON_CLOUD = "c1-0a1b2c3d";
let world: FakeWorld;

beforeEach(async () => {
  world = await createFakeWorld();
  await world.run(launchOperation, { task: taskYaml("run: echo hi"), cluster_name: "c1" }, { requestId: "launch" });
});

afterEach(async () => {
  await world.close();
  expect(world.backgroundErrors).toEqual([]);
});

async function mount(dest: string, isReadOnly = false): Promise<void> {
  const hash = (await world.cluster("c1"))?.cluster_hash ?? "";
  const spec = JSON.stringify({ dest, bucket: "b", isReadOnly });
  await saveClusterMount(world.database.db, { cluster_hash: hash, dest, store: "S3", spec, replaces: null });
}

type Wish = Pick<StopOrDownBody, "graceful" | "graceful_timeout">;

test.each<[Wish, UploadWait | undefined]>([
  [{}, undefined],
  [{ graceful: false, graceful_timeout: null }, undefined],
  [{ graceful: true }, "unlimited"],
  [{ graceful: true, graceful_timeout: 2 }, 2],
  [{ graceful: true, graceful_timeout: 0 }, 0],
  [{ graceful: false, graceful_timeout: 5 }, 5],
])("%o makes the nodes wait: %s", async (wish, wait) => {
  await world.run(stopOperation, { cluster_name: "c1", ...wish });
  const [params] = world.fleet.head(ON_CLOUD).shutdowns;
  expect(params?.uploadWait).toEqual(wait);
  expect(params).toMatchObject({ jobs: "kill", hookEvent: "stop" });
});

test("a negative number of seconds is refused before anything is ended", async () => {
  const body = { cluster_name: "c1", graceful: true, graceful_timeout: -1 };
  await expect(world.run(downOperation, body)).rejects.toThrow(
    "graceful_timeout is -1: it has to be a number of seconds, 0 or more.",
  );
  expect(world.fleet.head(ON_CLOUD).shutdowns).toEqual([]);
  expect(await world.cluster("c1")).toMatchObject({ status: "UP" });
});

test("the user sees what is waited for", async () => {
  await mount("~/read", true);
  await mount("~/ckpt");
  const { log } = await world.run(downOperation, { cluster_name: "c1", graceful: true });
  expect(log.spinners).toEqual([
    "[bold cyan]Terminating c1 - waiting until what was written to ~/ckpt is uploaded[/]",
    "",
  ]);
  expect(log.plain()).toEqual([]);
});

test.each<[string, Wish, boolean]>([
  ["nobody asked to wait", {}, false],
  ["nothing is waited for", { graceful: true, graceful_timeout: 0 }, false],
  ["nothing can be written", { graceful: true }, true],
])("nothing is shown where %s", async (_, wish, isReadOnly) => {
  await mount("~/ckpt", isReadOnly);
  const { log } = await world.run(stopOperation, { cluster_name: "c1", ...wish });
  expect(log.spinners).toEqual([]);
});

/** The connection breaks while the agent waits, once. */
function breakOnce(): void {
  const head = world.fleet.head(ON_CLOUD);
  head.onShutdown = () => {
    head.onShutdown = undefined;
    world.fleet.disconnect(`/fake/${ON_CLOUD}/0`);
    // The agent goes on; what it does then is lost with the connection.
    return new Promise(() => undefined);
  };
}

test("a wait that the user has asked for outlasts the connection", async () => {
  await mount("~/ckpt");
  breakOnce();
  const { log } = await world.run(downOperation, { cluster_name: "c1", graceful: true });
  const { shutdowns } = world.fleet.head(ON_CLOUD);
  expect(shutdowns).toHaveLength(2);
  // The key by which the agent knows that it is the same wait.
  expect(shutdowns[1]).toEqual(shutdowns[0]);
  expect(log.plain()).toEqual([]);
});

test("without one a connection that breaks ends the wait, which is said", async () => {
  await mount("~/ckpt");
  breakOnce();
  const { log } = await world.run(downOperation, { cluster_name: "c1" });
  expect(world.fleet.head(ON_CLOUD).shutdowns).toHaveLength(1);
  expect(log.plain()).toEqual([expect.stringMatching(/^WARNING: .* What was not uploaded yet of ~\/ckpt is lost\.$/u)]);
});

test("a server that died meanwhile goes on with the same wait", async () => {
  const head = world.fleet.head(ON_CLOUD);
  const death = new AbortController();
  head.onShutdown = () => {
    head.onShutdown = undefined;
    death.abort(new Error("The server died."));
    return new Promise(() => undefined);
  };
  const body = { cluster_name: "c1", graceful: true, graceful_timeout: 7 };
  const dying = world.run(downOperation, body, { requestId: "down", signal: death.signal });
  await expect(dying).rejects.toThrow("The server died.");
  await world.restart();
  await world.run(downOperation, body, { requestId: "down" });
  expect(head.shutdowns).toHaveLength(2);
  expect(head.shutdowns[1]).toEqual(head.shutdowns[0]);
  expect(head.shutdowns[0]).toMatchObject({ uploadWait: 7 });
  expect(await world.clusters()).toEqual([]);
});
