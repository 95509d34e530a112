import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { NoCapacityError } from "../../shared/errors.ts";
import type { Cloud, CloudContext, ClusterSpec, OfferRequest } from "../../core/ports/cloud.ts";
import { PLAIN_WISH } from "../../../test/fakes/node-wish.ts";
import { createLocalCloud } from "./index.ts";
import { canonicalGpuName } from "../../shared/gpu-name.ts";
import type { Machine } from "./machine.ts";
import { assertInside } from "../../runners/local/inside.ts";
import { findNodeProcesses } from "../../runners/local/processes.ts";

const context: CloudContext = { workspace: "default", config: {}, env: {}, signal: new AbortController().signal };
const machine: Machine = { cpus: 4, memoryGib: 8, gpus: [], bootId: "boot-1", hasLoopbackNet: true };

let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "local-"));
});

afterEach(() => {
  rmSync(home, { recursive: true, force: true });
});

function open(changes: Partial<Machine> = {}): Cloud {
  return createLocalCloud({
    home,
    graceMs: 100,
    env: { PATH: process.env["PATH"] },
    probe: () => Promise.resolve({ ...machine, ...changes }),
  });
}

function request(changes: Partial<OfferRequest> = {}): OfferRequest {
  return { numNodes: 1, accelerators: {}, useSpot: false, ports: [], diskGib: 256, ...changes };
}

function ref(name: string) {
  return { clusterName: name, nameOnCloud: `${name}-u`, region: "local", zone: null };
}

async function run(cloud: Cloud, name: string, wish: Partial<OfferRequest> = {}): Promise<void> {
  const { offers, rejected } = await cloud.offers(request(wish), context);
  const [offer] = offers;
  if (offer === undefined) throw new Error(rejected.map((one) => one.reason).join());
  const spec: ClusterSpec = {
    clusterName: name,
    nameOnCloud: `${name}-u`,
    numNodes: wish.numNodes ?? 1,
    offer,
    create: [],
    start: [],
    perNode: offer.resources,
    ports: [],
    labels: {},
    node: PLAIN_WISH,
  };
  await cloud.run(spec, "token", context);
}

const cpus = (count: number) => ({ cpus: { count, orMore: false } });

describe("capacity", () => {
  test("what tasks do not name is shared by any number of clusters", async () => {
    const cloud = open();
    for (const name of ["a", "b", "c", "d", "e", "f"]) await run(cloud, name, { numNodes: 2 });
    expect(await cloud.query(ref("f"), context)).toHaveLength(2);
  });

  test("what tasks name is set aside, and the message says who holds it", async () => {
    const cloud = open();
    await run(cloud, "a", cpus(3));
    await expect(run(cloud, "b", cpus(2))).rejects.toThrow(
      "This machine has 4 CPUs, of which 1 is free (a: 3); the cluster needs 2.",
    );
    await expect(run(cloud, "b", cpus(2))).rejects.toMatchObject({
      hint: "To make room: sky stop a (or sky down), or ask for less.",
    });
    await run(cloud, "b", cpus(1));
    const memory = { memory: { amount: 3, orMore: false, perCpu: false } };
    await run(cloud, "c", { ...memory, numNodes: 2 });
    await expect(run(cloud, "d", memory)).rejects.toThrow(
      "This machine has 8 GiB of memory, of which 2 are free (c: 6); the cluster needs 3.",
    );
  });

  test("a stopped cluster lets go of it and asks for it again", async () => {
    const cloud = open();
    await run(cloud, "a", cpus(3));
    await cloud.stop?.(ref("a"), context);
    await run(cloud, "b", cpus(3));
    await expect(run(cloud, "a", cpus(3))).rejects.toThrow(NoCapacityError);
    await cloud.terminate(ref("b"), context);
    await run(cloud, "a", cpus(3));
    expect((await cloud.query(ref("a"), context)).map((one) => one.state)).toEqual(["running"]);
  });

  test.each([
    [cpus(5), "5 CPUs asked, the machine has 4"],
    [{ ...cpus(3), numNodes: 2 }, "3 CPUs on each of 2 nodes asked, the machine has 4"],
    [{ memory: { amount: 3, orMore: true, perCpu: true }, ...cpus(4) }, "12 GiB of memory asked, the machine has 8"],
    [{ accelerators: { T4: 1 } }, "T4:1 asked, the machine has 0"],
    [{ useSpot: true }, "the local machine has no spot instances"],
    [{ region: "moon" }, "there is no region 'moon' on the local machine"],
    [{ instanceType: "m6i.large" }, "the local machine has no instance type 'm6i.large'"],
  ] satisfies [Partial<OfferRequest>, string][])("%j can never run: %s", async (wish, reason) => {
    const { offers, rejected } = await open().offers(request(wish), context);
    expect(offers).toEqual([]);
    expect(rejected.map((one) => one.reason)).toEqual([reason]);
  });
});

describe("GPUs", () => {
  const gpus = ["T4", "A100", "T4", "T4"];

  test("belong to one node each, by their index", async () => {
    const cloud = open({ gpus });
    await run(cloud, "a", { accelerators: { T4: 1 }, numNodes: 2 });
    await run(cloud, "b", { accelerators: { T4: 0.5 } });
    const indices = async (name: string) => (await cloud.query(ref(name), context)).map((one) => one.deviceIndices);
    expect(await indices("a")).toEqual([[0], [2]]);
    expect(await indices("b")).toEqual([[3]]);
    await expect(run(cloud, "c", { accelerators: { T4: 1 } })).rejects.toThrow(
      "This machine has 3 T4, of which 0 are free (a: device 0, a: device 2, b: device 3); the cluster needs 1.",
    );
    await cloud.terminate(ref("a"), context);
    await run(cloud, "c", { accelerators: { T4: 1 } });
    expect(await indices("c")).toEqual([[0]]);
  });

  test.each([
    ["NVIDIA A100-SXM4-80GB", "A100-80GB"],
    ["NVIDIA A100-SXM4-40GB", "A100"],
    ["NVIDIA A100 80GB PCIe", "A100-80GB"],
    ["Tesla T4", "T4"],
    ["Tesla V100-SXM2-16GB", "V100"],
    ["Tesla V100-SXM2-32GB", "V100-32GB"],
    ["NVIDIA H100 80GB HBM3", "H100"],
    ["NVIDIA L4", "L4"],
    ["NVIDIA GeForce RTX 4090", "RTX4090"],
    ["NVIDIA RTX A6000", "RTXA6000"],
    ["NVIDIA RTX 6000 Ada Generation", "RTX6000-Ada"],
    ["NVIDIA GeForce RTX 3080 Ti", "RTX3080-Ti"],
  ])("%s is %s", (product, name) => {
    expect(canonicalGpuName(product)).toBe(name);
  });
});

describe("nodes", () => {
  test("have directories that only their user can read, and addresses that survive a stop", async () => {
    const cloud = open();
    await run(cloud, "a", { numNodes: 2 });
    const before = await cloud.query(ref("a"), context);
    expect(statSync(join(home, ".sky/local/a-u")).mode & 0o777).toBe(0o700);
    expect(statSync(before[1]?.home ?? "").mode & 0o777).toBe(0o700);
    expect(before.map((one) => one.internalIp)).toEqual([
      expect.stringMatching(/^127\.77\.\d+\.\d+$/),
      expect.stringMatching(/^127\.77\.\d+\.\d+$/),
    ]);
    await cloud.stop?.(ref("a"), context);
    await run(cloud, "b");
    await run(cloud, "a", { numNodes: 2 });
    expect((await cloud.query(ref("a"), context)).map((one) => one.internalIp)).toEqual(
      before.map((one) => one.internalIp),
    );
  });

  test("share 127.0.0.1 where the loopback net is not all there", async () => {
    const cloud = open({ hasLoopbackNet: false });
    await run(cloud, "a", { numNodes: 2 });
    expect((await cloud.query(ref("a"), context)).map((one) => one.internalIp)).toEqual(["127.0.0.1", "127.0.0.1"]);
  });

  test("are off after a boot of the machine", async () => {
    await run(open(), "a");
    expect((await open({ bootId: "boot-2" }).query(ref("a"), context)).map((one) => one.state)).toEqual(["stopped"]);
  });

  test.each([
    ["stopped", "stopped"],
    ["down", "terminated"],
    ["odd", "running"],
  ])("whose agent wrote %s are %s, until they run again", async (written, state) => {
    const cloud = open();
    await run(cloud, "a");
    const [node] = await cloud.query(ref("a"), context);
    writeFileSync(join(node?.agentRoot ?? "", "state.json"), JSON.stringify({ state: written }));
    expect((await cloud.query(ref("a"), context)).map((one) => one.state)).toEqual([state]);
    await cloud.stop?.(ref("a"), context);
    await run(cloud, "a");
    expect((await cloud.query(ref("a"), context)).map((one) => one.state)).toEqual(["running"]);
  });

  test("a damaged allocation is an error that names the file", async () => {
    const cloud = open();
    await run(cloud, "a");
    writeFileSync(join(home, ".sky/local/a-u/cluster.json"), "{");
    await expect(cloud.query(ref("a"), context)).rejects.toThrow(
      `${join(home, ".sky/local/a-u/cluster.json")} is damaged.`,
    );
  });
});

describe("processes", () => {
  test("of a node end with it, also in sessions of their own; others stay", async () => {
    const cloud = open();
    await run(cloud, "a");
    const [node] = await cloud.query(ref("a"), context);
    if (node === undefined) throw new Error("no node");
    const runner = await cloud.runner(node, ref("a"), context);
    const pidFile = join(node.home, "pids");
    // A tree whose leaf leaves session, parent and environment; and a program that ignores SIGTERM.
    const script = `trap '' TERM; env -i setsid sleep 300 & echo $! >> ${pidFile}; echo $$ >> ${pidFile}; sleep 300`;
    await runner.run(["sh", "-c", `setsid sh -c "$1" >/dev/null 2>&1 &`, "sh", script]);
    const other = spawn("sleep", ["300"]);
    const nodeDirectory = join(home, ".sky/local/a-u/node0");
    await waitFor(() => existsSync(pidFile) && readFileSync(pidFile, "utf8").split("\n").length > 2);
    expect(findNodeProcesses(nodeDirectory).length).toBeGreaterThanOrEqual(2);
    await cloud.terminate(ref("a"), context);
    expect(findNodeProcesses(nodeDirectory)).toEqual([]);
    expect(existsSync(join(home, ".sky/local/a-u"))).toBe(false);
    expect(other.exitCode).toBeNull();
    other.kill();
  });

  test("no path outside the root is ever removed", async () => {
    for (const path of ["/", "/a", "/a/b/..", "/a/b/../c", "/a/b"]) {
      expect(() => assertInside("/a/b", path)).toThrow("is not inside");
    }
    await expect(open().terminate({ ...ref("a"), nameOnCloud: "../../x" }, context)).rejects.toThrow("is not inside");
  });
});

async function waitFor(predicate: () => boolean): Promise<void> {
  while (!predicate()) await new Promise((resolve) => setImmediate(resolve));
}
