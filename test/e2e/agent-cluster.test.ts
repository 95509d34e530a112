import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { connectPsk } from "../../src/agent/cluster/tls-psk.ts";
import { BlockPacker } from "../../src/core/files/blocks.ts";
import { waitingAccess } from "../../src/core/files/file-access.ts";
import { packFiles } from "../../src/core/files/pack-files.ts";
import type { SyncEntry } from "../../src/shared/agent/protocol.ts";
import { ranksLines, Rig, waitUntil, type RigOptions } from "./agent-rig.ts";

let rig: Rig;
afterEach(() => rig.stop());
const startRig = async (options: RigOptions = {}): Promise<void> => {
  rig = await Rig.start({ numNodes: 3, ...options });
};

test("a gang runs on distinct nodes in rank order; setup runs on all nodes of the cluster", async () => {
  await startRig();
  const jobId = await rig.submit({
    name: "gang",
    numNodes: 2,
    setup: 'echo "setup $SKYPILOT_SETUP_NODE_RANK of $(echo $SKYPILOT_SETUP_NODE_IPS)"',
    run: 'echo "rank $SKYPILOT_NODE_RANK of $SKYPILOT_NUM_NODES: $(echo $SKYPILOT_NODE_IPS)"',
  });
  const lines = ranksLines(await rig.logs(jobId));
  const ips = "127.0.0.1 127.0.0.2 127.0.0.3";
  expect(lines.slice(0, 3).sort()).toEqual([
    `(setup pid=N) setup 0 of ${ips}`,
    `(setup pid=N, ip=127.0.0.2) setup 1 of ${ips}`,
    `(setup pid=N, ip=127.0.0.3) setup 2 of ${ips}`,
  ]);
  expect(lines.slice(3).sort()).toEqual([
    "(head, rank=0, pid=N) rank 0 of 2: 127.0.0.1 127.0.0.2",
    "(worker1, rank=1, pid=N, ip=127.0.0.2) rank 1 of 2: 127.0.0.1 127.0.0.2",
  ]);
  expect((await rig.job(jobId)).status).toBe("SUCCEEDED");
  const { files } = await (await rig.head.peer()).call("list_log_files", { jobIds: [jobId] });
  expect(files.map((file) => `${file.node}:${file.path}`).sort()).toEqual([
    "0:run.log",
    "0:tasks/0-head.log",
    "0:tasks/setup.log",
    "1:tasks/1-worker1.log",
    "1:tasks/setup.log",
    "2:tasks/setup.log",
  ]);
  const peer = await rig.head.peer();
  const file = peer.open("read_log_file", { jobId, node: 1, path: "tasks/1-worker1.log", offset: 5 });
  const parts: Uint8Array[] = [];
  for await (const chunk of file.chunks) parts.push(chunk);
  expect(Buffer.concat(parts).toString()).toBe("1 of 2: 127.0.0.1 127.0.0.2\n");
  const escape = peer.open("read_log_file", { jobId, node: 1, path: "../../../etc/passwd", offset: 0 });
  await expect(escape.start).rejects.toMatchObject({ agentCode: "JOB_NOT_FOUND" });
});

test("when a rank fails the others get TERM and time to clean up, then the end", async () => {
  await startRig();
  const jobId = await rig.submit({
    numNodes: 3,
    gracePeriodSeconds: 5,
    run: `case $SKYPILOT_NODE_RANK in
0) trap 'echo saved; exit 0' TERM; touch ready; while :; do sleep 0.05; done ;;
1) touch ready; until [ -e go ]; do sleep 0.05; done; exit 3 ;;
2) trap '' TERM; touch ready; while :; do sleep 0.05; done ;;
esac`,
  });
  await waitUntil("all ranks", () => rig.nodes.every((node) => existsSync(join(node.home, "sky_workdir/ready"))));
  writeFileSync(join(rig.nodes[1]?.home ?? "", "sky_workdir/go"), "");
  const log = await rig.logs(jobId);
  expect(log).toContain("saved\n");
  expect(log).toContain(
    "ERROR: Job 1 failed with return code list: [137, 3, 137] (A Worker failed with return code 3, SkyPilot cleaned up the processes on other nodes with return code 137)\n",
  );
  expect(await rig.job(jobId)).toMatchObject({ status: "FAILED", exitCodes: [137, 3, 137] });
});

test("cancel reaches the ranks on workers before it answers", async () => {
  await startRig();
  const jobId = await rig.submit({ numNodes: 3, run: "echo $$ > pid; sleep 1000" });
  const pids = await waitUntil("all ranks", () => {
    const paths = rig.nodes.map((node) => join(node.home, "sky_workdir/pid"));
    return paths.every((path) => existsSync(path) && readFileSync(path, "utf8") !== "")
      ? paths.map((path) => Number(readFileSync(path, "utf8")))
      : undefined;
  });
  expect(await (await rig.head.peer()).call("cancel", { key: "c", jobIds: [jobId] })).toEqual({ jobIds: [jobId] });
  expect(pids.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
});

test("healthy ranks live through a restart of the head and through the loss of a worker's connection", async () => {
  await startRig();
  const jobId = await rig.submit({
    numNodes: 3,
    run: "echo begin $SKYPILOT_NODE_RANK; until [ -e go ]; do sleep 0.05; done; echo end $SKYPILOT_NODE_RANK",
  });
  await waitUntil("all ranks", async () => (await rig.logs(jobId, { follow: false })).split("begin").length === 4);
  await rig.head.kill();
  await rig.nodes[2]?.kill();
  rig.head.start();
  rig.nodes[2]?.start();
  await rig.allJoined();
  expect((await rig.job(jobId)).status).toBe("RUNNING");
  for (const node of rig.nodes) writeFileSync(join(node.home, "sky_workdir/go"), "");
  const lines = ranksLines(await rig.logs(jobId)).map((line) => line.replace(/^.*\) /, ""));
  expect(lines.slice(0, 3).sort()).toEqual(["begin 0", "begin 1", "begin 2"]);
  expect(lines.slice(3).sort()).toEqual(["end 0", "end 1", "end 2"]);
  expect((await rig.job(jobId)).status).toBe("SUCCEEDED");
});

test("a worker that stays away fails the jobs on it, by name, and only them; back again it drops their ranks", async () => {
  await startRig({ env: { SKYPILOT_AGENT_WORKER_GRACE_MS: "700" } });
  const gang = await rig.submit({ numNodes: 3, run: "echo $$ > pid; until [ -e go ]; do sleep 0.05; done" });
  const alone = await rig.submit({ run: "until [ -e go ]; do sleep 0.05; done" });
  await rig.reaches(alone, "RUNNING");
  const worker = rig.nodes[2];
  const pidFile = join(worker?.home ?? "", "sky_workdir/pid");
  await waitUntil("the worker's rank", () => existsSync(pidFile) && readFileSync(pidFile, "utf8") !== "");
  const pid = Number(readFileSync(pidFile, "utf8"));
  await worker?.kill();
  expect(await rig.logs(gang)).toMatch(
    /ERROR: Job 1 failed: node worker2 \(127\.0\.0\.3\) has been unreachable for 1 s/,
  );
  expect((await rig.job(gang)).status).toBe("FAILED_DRIVER");
  expect((await rig.job(alone)).status).toBe("RUNNING");
  expect(existsSync(`/proc/${pid}`)).toBe(true);
  worker?.start();
  await waitUntil("the stale rank to end", () => !existsSync(`/proc/${pid}`));
  writeFileSync(join(rig.head.home, "sky_workdir/go"), "");
  await rig.reaches(alone, "SUCCEEDED");
});

test("without the cluster's key nobody gets in, nor in clear", async () => {
  await startRig({ numNodes: 2 });
  const { workerPort: port } = await (await rig.head.peer()).call("hello", { protocol: 1 });
  const address = { host: "127.0.0.1", port };
  const identity = { clusterNameOnCloud: "t1-abcd1234", clusterToken: "00".repeat(32) };
  await expect(connectPsk(identity, address)).rejects.toThrow();
  await expect(connectPsk({ ...rig.head.config, clusterNameOnCloud: "other" }, address)).rejects.toThrow();
  const good = await connectPsk(rig.head.config, address);
  expect(good.getCipher().name).toBe("ECDHE-PSK-CHACHA20-POLY1305");
  good.destroy();
  const clear = connect(port, "127.0.0.1");
  clear.on("error", () => undefined);
  const closed = new Promise((resolve) => clear.once("close", resolve));
  clear.write(Buffer.from("\0\0\0\x02\0\0\0\0{}"));
  await closed;
});

test("the head passes a sync on to the workers; each is sent only what somebody lacks", async () => {
  await startRig({ numNodes: 2 });
  const entries: SyncEntry[] = [
    { path: "", kind: "dir", mode: 0o755, size: 0, mtimeMs: 1000 },
    { path: "a", kind: "file", mode: 0o644, size: 3, mtimeMs: 1000 },
    { path: "empty", kind: "file", mode: 0o644, size: 0, mtimeMs: 1000 },
    { path: "big", kind: "file", mode: 0o755, size: 3_000_000, mtimeMs: 1000 },
  ];
  const source = join(rig.directory, "source");
  mkdirSync(source);
  writeFileSync(join(source, "a"), "abc");
  writeFileSync(join(source, "big"), Buffer.alloc(3_000_000, 7));
  const sync = async (fields: { nodes?: number[]; dest?: string } = {}): Promise<readonly number[]> => {
    const stream = (await rig.head.peer()).open("put_files", { key: "s", dest: "~/sky_workdir", entries, ...fields });
    const { need } = await stream.start;
    const wanted = need.flatMap((index) => ({ index, path: "", size: 0, ...entries[index] }));
    for await (const block of packFiles(wanted, { root: source, packer: new BlockPacker(), access: waitingAccess }))
      await stream.send(block);
    stream.endSend();
    await stream.end;
    return need;
  };
  expect(await sync({ nodes: [1] })).toEqual([1, 2, 3]);
  expect(existsSync(join(rig.head.home, "sky_workdir/a"))).toBe(false);
  expect(await sync()).toEqual([1, 2, 3]);
  expect(await sync()).toEqual([]);
  for (const node of rig.nodes) {
    expect(readFileSync(join(node.home, "sky_workdir/a"), "utf8")).toBe("abc");
    expect(readFileSync(join(node.home, "sky_workdir/big")).equals(Buffer.alloc(3_000_000, 7))).toBe(true);
  }
  const real = join(rig.directory, "real");
  mkdirSync(real);
  const homes = (await rig.head.peer()).open("put_files", { key: "s", dest: "/var/tmp", entries });
  await expect(homes.start).rejects.toMatchObject({
    agentCode: "PATH_EXISTS",
    message: "On head: !!! Failed mounting because path exists (/var/tmp)",
  });
});

test("a script runs on the node that is asked, its exit code and output come back; time-outs end it", async () => {
  await startRig({ numNodes: 2 });
  const peer = await rig.head.peer();
  const exec = async (script: string, timeoutSeconds?: number): Promise<{ code: number; output: string }> => {
    const limit = timeoutSeconds === undefined ? {} : { timeoutSeconds };
    const stream = peer.open("exec", { key: "e", script, env: { WHO: "me" }, node: 1, ...limit });
    const parts: Uint8Array[] = [];
    for await (const chunk of stream.chunks) parts.push(chunk);
    return { code: (await stream.end).exitCode, output: Buffer.concat(parts).toString() };
  };
  const home = rig.nodes[1]?.home;
  expect(await exec('echo "$WHO $HOME"; cat; exit 5')).toEqual({ code: 5, output: `me ${home}\n` });
  expect(await exec("echo on; sleep 1000", 3)).toEqual({ code: 124, output: "on\n" });
});
