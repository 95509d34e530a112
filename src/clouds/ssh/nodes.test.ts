import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Cloud, CloudContext, ClusterSpec } from "../../core/ports/cloud.ts";
import { pinnedRuntimes, runtimeFolder } from "../../runners/runtime/pinned.ts";
import { RuntimeSource } from "../../runners/runtime/source.ts";
import { SshConnections } from "../../runners/ssh/connections.ts";
import { readBundle } from "../../platform/agent-bundle.ts";
import type { HostFacts } from "../../shared/agent/host.ts";
import { PLAIN_WISH } from "../../../test/fakes/node-wish.ts";
import { AgentNotRunningError } from "../../shared/errors.ts";
import { systemClock } from "../../shared/clock.ts";
import { entryOf, FactsStore } from "./facts-store.ts";
import { createSshCloud } from "./index.ts";
import { readPools } from "./pools.ts";

/** Stands in for OpenSSH: runs what the host is to run on this machine, with the host's name in a variable. */
const SSH = `#!/bin/sh
for word; do host=$last last=$word; done
FAKE_HOST=$host exec /bin/sh -c "$last"
`;

/**
 * Stands in for the agent's program on a host: notes when it starts and what it is asked, and gives whatever is wanted unless it is to
 * fail, or to be killed.
 */
const PROGRAM = `const fs = require("node:fs");
const base = process.argv[4];
const host = process.env.FAKE_HOST;
const file = base + "/" + host;
const facts = { cpus: 4, memoryGib: 8, gpus: [], addresses: ["10.0.0.1"] };
function answer({ verb, params }) {
  fs.appendFileSync(base + "/asked", host + " " + verb + "\\n");
  const made = { ...params, gpus: [], home: base + "/home", agentRoot: base + "/agent" };
  const isNew = !fs.existsSync(file);
  if (fs.existsSync(file + ".dies")) process.exit(fs.rmSync(file + ".dies"));
  if (verb === "claim" && fs.existsSync(file + ".fails")) return { error: "It fails." };
  if (verb === "claim") fs.writeFileSync(file, JSON.stringify(made));
  if (verb === "release") fs.rmSync(file, { force: true });
  const claims = fs.existsSync(file) ? [JSON.parse(fs.readFileSync(file, "utf8"))] : [];
  return { result: verb === "look" ? { facts, claims } : verb === "claim" ? { ok: true, claim: made, isNew } : {} };
}
const say = (value) => fs.writeSync(4, JSON.stringify(value) + "\\n");
fs.appendFileSync(base + "/started", host + "\\n");
say({ base });
const lines = require("node:readline").createInterface({ input: fs.createReadStream("", { fd: 3 }) });
lines.on("line", (line) => {
  const said = answer(JSON.parse(line));
  if (!fs.existsSync(file + ".hangs")) say(said);
});
`;

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "ssh-nodes-"));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

function noted(name: "asked" | "started"): readonly string[] {
  const file = join(home, "base", name);
  const lines = existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
  rmSync(file, { force: true });
  return lines.sort();
}

function asked(): readonly string[] {
  return noted("asked");
}

function writeFiles(): void {
  const runtime = join(home, "base/agent", runtimeFolder(pinnedRuntimes[process.arch === "arm64" ? "arm64" : "x64"]));
  const node = join(runtime, "bin/node");
  for (const path of [node, join(home, ".sky/x")]) mkdirSync(dirname(path), { recursive: true });
  symlinkSync(process.execPath, node);
  writeFileSync(join(home, "ssh"), SSH);
  chmodSync(join(home, "ssh"), 0o700);
  writeFileSync(join(home, "agent.cjs"), PROGRAM);
  writeFileSync(join(home, ".sky/ssh_node_pools.yaml"), "rack:\n  hosts: [h0, h1, h2]\n");
}

function openCloud(): Cloud {
  writeFiles();
  const [pool] = readPools(home);
  if (pool === undefined) throw new Error("no pool");
  const facts = { cpus: 4, memoryGib: 8, gpus: [], addresses: ["10.0.0.1"] } as Partial<HostFacts> as HostFacts;
  const address = { hostName: "10.0.0.1", port: 22, user: "me", proxyCommand: null };
  new FactsStore(join(home, ".sky/ts/ssh")).write(
    pool,
    pool.hosts.map((host) => ({ host: host.host, entry: entryOf(host), base: join(home, "base"), facts, address })),
  );
  const connections = new SshConnections({
    controlDir: join(home, "c"),
    // The login shells read no profile of whoever runs this.
    env: { ...process.env, HOME: home },
    clock: systemClock,
    random: Math.random,
    program: join(home, "ssh"),
  });
  const runtimes = new RuntimeSource({ cacheDir: join(home, "cache"), registry: "http://127.0.0.1:9/" });
  return createSshCloud({ home, env: {}, agentBundle: join(home, "agent.cjs"), tools: { connections, runtimes } });
}

const perNode = { cpus: 1, memoryGib: 1, accelerators: {} };
const cluster = { clusterName: "c", nameOnCloud: "c-1", region: "rack", zone: null };
const spec: ClusterSpec = {
  clusterName: "c",
  nameOnCloud: "c-1",
  numNodes: 2,
  offer: {
    cloud: "ssh",
    region: "rack",
    zone: null,
    instanceType: "1CPU--1GB",
    resources: perNode,
    useSpot: false,
    priceUsdPerHour: 0,
  },
  create: [0, 1],
  start: [],
  perNode,
  ports: [],
  labels: {},
  node: PLAIN_WISH,
};

const context: CloudContext = { workspace: "default", config: {}, env: {}, signal: new AbortController().signal };
const running = [
  ["h0", 0, "running"],
  ["h1", 1, "running"],
];

async function statesOf(cloud: Cloud): Promise<unknown> {
  return (await cloud.query(cluster, context)).map(({ id, index, state }) => [id, index, state]);
}

test("the query after a launch believes what the hosts just said; the next one asks them", async () => {
  const cloud = openCloud();
  expect(await cloud.query(cluster, context)).toEqual([]);
  await cloud.run(spec, "token", context);
  expect(asked()).toEqual(["h0 claim", "h0 look", "h1 claim", "h1 look", "h2 look"]);
  expect(await statesOf(cloud)).toEqual(running);
  expect(asked()).toEqual([]);
  expect(await statesOf(cloud)).toEqual(running);
  expect(asked()).toEqual(["h0 look", "h1 look"]);
  rmSync(join(home, "base/h1"));
  expect(await statesOf(cloud)).toEqual([["h0", 0, "running"]]);
});

test("each host's program starts once for all that a launch asks of it", async () => {
  const cloud = openCloud();
  await cloud.run(spec, "token", context);
  const agentBundle = readBundle(join(home, "agent.cjs"));
  for (const instance of await cloud.query(cluster, context)) {
    const runner = await cloud.runner(instance, cluster, context);
    const { agentRoot: root, installDir } = instance;
    // Known without asking, because the host has just said that the cluster is new there.
    await expect(runner.connectAgent(root)).rejects.toThrow(AgentNotRunningError);
    await runner.startAgent({ root, installDir, bundle: agentBundle, config: Buffer.from("{}") });
  }
  expect(asked()).toEqual(["h0 claim", "h0 look", "h0 start", "h1 claim", "h1 look", "h1 start", "h2 look"]);
  expect(noted("started")).toEqual(["h0", "h1", "h2"]);
  // Those two are agents from then on.
  await cloud.query(cluster, context);
  expect(noted("started")).toEqual(["h0", "h1"]);
});

test("a program that went away while nobody asked it anything is started again", async () => {
  const cloud = openCloud();
  await cloud.run(spec, "token", context);
  await cloud.query(cluster, context);
  writeFileSync(join(home, "base/h1.dies"), "");
  expect(await statesOf(cloud)).toEqual(running);
  expect(noted("started")).toEqual(["h0", "h1", "h1", "h2"]);
});

test("a question that is given up ends at once, and its program with it", async () => {
  const cloud = openCloud();
  await cloud.run(spec, "token", context);
  await cloud.query(cluster, context);
  asked();
  writeFileSync(join(home, "base/h1.hangs"), "");
  const giveUp = new AbortController();
  const asking = cloud.query(cluster, { ...context, signal: giveUp.signal });
  const file = join(home, "base/asked");
  await expect.poll(() => (existsSync(file) ? readFileSync(file, "utf8") : "")).toContain("h1 look");
  giveUp.abort(new Error("cancelled"));
  await expect(asking).rejects.toThrow("cancelled");
  rmSync(join(home, "base/h1.hangs"));
  expect(await statesOf(cloud)).toEqual(running);
  expect(noted("started").filter((host) => host === "h1")).toEqual(["h1", "h1"]);
});

test("a cluster that cannot grow goes on as it was", async () => {
  const cloud = openCloud();
  await cloud.run(spec, "token", context);
  expect(await statesOf(cloud)).toEqual(running);
  writeFileSync(join(home, "base/h2.fails"), "");
  await expect(cloud.run({ ...spec, numNodes: 3, create: [2] }, "other", context)).rejects.toThrow("It fails.");
  expect(await statesOf(cloud)).toEqual(running);
});

test("hosts that gave something back are not the cluster's any more", async () => {
  const cloud = openCloud();
  writeFileSync(join(home, "base/h1.fails"), "");
  await expect(cloud.run(spec, "token", context)).rejects.toThrow("It fails.");
  expect(asked()).toContain("h0 release");
  await cloud.terminate(cluster, context);
  // The one that failed may have set something aside all the same.
  expect(asked()).toEqual(["h1 release"]);
});
