import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findNodeProcesses } from "../../src/runners/local/processes.ts";
import { refreshAllClusters } from "../../src/core/clusters/refresh-all.ts";
import { operations } from "../../src/core/operations.ts";
import { signalProcess } from "./support/process-tree.ts";
import { createLocalRig, type LocalRig } from "./support/local-rig.ts";
import { waitFor } from "./support/wait-for.ts";

let rig: LocalRig;

beforeEach(async () => {
  rig = await createLocalRig();
});

afterEach(() => rig.close());

async function refresh(): Promise<void> {
  const context = await rig.server().context("refresh");
  const onError = (_: string, error: unknown): void => {
    throw error;
  };
  await refreshAllClusters({ ...context, onError }, { signal: context.signal });
}

async function killNode(): Promise<void> {
  const directory = rig.nodeDirectory(0);
  await waitFor("the processes to end", () => {
    // One that was killed may have started another meanwhile.
    const left = findNodeProcesses(directory);
    for (const { pid } of left) signalProcess(pid, "SIGKILL");
    return left.length === 0;
  });
}

/** Everything of the node ends, and what it left says another boot. */
async function reboot(): Promise<void> {
  await killNode();
  const directory = rig.nodeDirectory(0);
  const file = join(directory, "..", "cluster.json");
  const allocation = JSON.parse(readFileSync(file, "utf8")) as object;
  writeFileSync(file, JSON.stringify({ ...allocation, bootId: "the boot before" }));
  writeFileSync(join(directory, "agent", "boot-id"), "the boot before");
}

async function startAndLook(): Promise<void> {
  await rig.run(operations.start, { cluster_name: "c1" });
  expect((await rig.cluster())?.status).toBe("UP");
  const { job_id } = await rig.launch("cat ~/kept");
  const { bytes, exitCode } = await rig.readLog(job_id ?? 0);
  expect(exitCode).toBe(0);
  expect(bytes.toString()).toContain("still here");
  expect(await rig.run(operations.job_status, { cluster_name: "c1", job_ids: [1] })).toEqual({ "1": "FAILED_DRIVER" });
}

async function launchJob(): Promise<void> {
  await rig.launch("echo still here > ~/kept; sleep 300");
  await waitFor("the job to begin", () => existsSync(join(rig.nodeDirectory(0), "home", "kept")));
}

test("after a reboot of the machine the cluster is STOPPED, and start brings it back", async () => {
  await launchJob();
  await rig.stopServer();
  await reboot();
  await rig.startServer();
  await refresh();
  expect(await rig.cluster()).toMatchObject({
    status: "STOPPED",
    last_event: "All nodes stopped, cleaning up the cluster.",
  });
  await startAndLook();
});

test("start looks at a cluster whose row still says UP", async () => {
  await launchJob();
  await rig.stopServer();
  await reboot();
  await rig.startServer();
  await startAndLook();
});

test("without a reboot, agents that were killed come back by themselves, and so does what else is to run", async () => {
  await launchJob();
  await rig.stopServer();
  await killNode();
  await rig.startServer();
  await refresh();
  expect(await rig.cluster()).toMatchObject({ status: "UP", phase: "ready" });
  expect(await rig.run(operations.job_status, { cluster_name: "c1", job_ids: [1] })).toEqual({ "1": "FAILED_DRIVER" });
  const { job_id } = await rig.launch("cat ~/kept");
  expect((await rig.readLog(job_id ?? 0)).bytes.toString()).toContain("still here");
});

test("a cluster that took itself down while no server ran is gone", async () => {
  await rig.launch("echo done");
  expect((await rig.readLog(1)).exitCode).toBe(0);
  const agent = await rig.server().agents.connect("c1");
  const cluster = join(rig.nodeDirectory(0), "..");
  const state = join(rig.nodeDirectory(0), "agent", "state.json");
  await agent.call("set_autostop", { key: "k", idleMinutes: 0.03, down: true, waitFor: "none" });
  await rig.stopServer();
  await waitFor("the cluster to take itself down", () => existsSync(state));
  await rig.startServer();
  await refresh();
  expect(await rig.cluster()).toBeUndefined();
  expect(existsSync(cluster)).toBe(false);
});
