import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parseTable, plainText } from "./support/plain-text.ts";
import { describeWithReference } from "./support/reference.ts";
import type { RunResult } from "./support/run-program.ts";
import { OfficialClient, Sandbox } from "./support/sandbox.ts";
import { waitFor } from "./support/wait-for.ts";

const TASK = `
name: hello
num_nodes: 2
resources:
  infra: ssh/local
workdir: project
file_mounts:
  ~/data/input.txt: ./input.txt
  /tmp/SANDBOX-mount: ./mounted
envs:
  GREETING: hello
  WHO: null
setup: |
  echo "setup of node $SKYPILOT_SETUP_NODE_RANK: $GREETING $WHO"
run: |
  echo "rank $SKYPILOT_NODE_RANK of $SKYPILOT_NUM_NODES: $GREETING, $WHO"
  echo "ips $(echo "$SKYPILOT_NODE_IPS" | wc -l) gpus $SKYPILOT_NUM_GPUS_PER_NODE"
  echo "workdir $(cat main.txt) $(ls deep/er) ignored:$(ls *.log 2>/dev/null)"
  echo "mounts $(cat ~/data/input.txt) $(cat /tmp/SANDBOX-mount/a.txt)"
`;

describeWithReference("the official CLI on our server, as on another machine", (reference) => {
  let sandbox: Sandbox;
  let client: OfficialClient;

  beforeAll(async () => {
    sandbox = await Sandbox.create();
    client = new OfficialClient(sandbox, reference, { remote: true });
    sandbox.write("task.yaml", TASK.replaceAll("/tmp/SANDBOX", sandbox.root));
    sandbox.write("input.txt", "the input\n");
    sandbox.write("mounted/a.txt", "mounted file");
    sandbox.write("project/main.txt", "main ünïcode\n");
    sandbox.write("project/deep/er/leaf.txt", "leaf");
    sandbox.write("project/noise.log", "noise");
    sandbox.write("project/.skyignore", "*.log\n");
    // The server's HOME is a repository of its own, which has no say in what a client has sent.
    sandbox.write("../home/.git/HEAD", "ref: refs/heads/main\n");
    sandbox.write("../home/.gitignore", "*.txt\n");
    await sandbox.startServer();
  });

  afterAll(async () => {
    await sandbox?.dispose();
    // A mount below /tmp goes to this machine's /tmp: the nodes of local clusters share it.
    rmSync(`${sandbox?.root}-mount`, { recursive: true, force: true });
  });

  async function sky(...args: string[]): Promise<RunResult & { readonly text: string }> {
    const result = await client.sky(args);
    return { ...result, text: plainText(result.stdout + result.stderr) };
  }

  async function statusOf(cluster: string): Promise<Record<string, string> | undefined> {
    const { stdout } = await sky("status", cluster);
    return plainText(stdout).includes("NAME ")
      ? parseTable(stdout, "NAME").find((row) => row["NAME"] === cluster)
      : undefined;
  }

  it("check finds this machine", async () => {
    const { exitCode, text } = await sky("check");
    expect(text).toContain("Checking credentials to enable clouds for SkyPilot.");
    expect(text).toMatch(/Enabled infra/u);
    expect(text).toMatch(/SSH|Local/u);
    expect(text).toContain(`Using SkyPilot API server: ${sandbox.url}`);
    expect(exitCode).toBe(0);
  });

  it("status of nothing says so", async () => {
    const { exitCode, text } = await sky("status");
    expect(text).toContain("No existing clusters.");
    expect(text).toContain("No in-progress managed jobs. (See: sky jobs -h)");
    expect(text).toContain("No live services.");
    expect(exitCode).toBe(0);
  });

  it("launch --dryrun plans and creates nothing", async () => {
    const { exitCode, text } = await sky("launch", "-y", "-c", "dry", "--dryrun", "--env", "WHO=you", "task.yaml");
    expect(text).toContain("Considered resources (2 nodes):");
    expect(text).toContain("Dryrun finished.");
    expect(exitCode).toBe(0);
    expect(await statusOf("dry")).toBeUndefined();
  });

  it("launch brings two nodes up, moves the files and runs the task", async () => {
    const { exitCode, text } = await sky("launch", "-y", "-c", "t1", "--env", "WHO=you", "task.yaml");
    expect(text).toContain("YAML to run: task.yaml");
    expect(text).toContain("Job submitted, ID: 1");
    expect(text).toMatch(/^\(setup pid=\d+\) setup of node 0: hello you$/mu);
    expect(text).toMatch(/^\(setup pid=\d+, ip=[\d.]+\) setup of node 1: hello you$/mu);
    expect(text).toMatch(/^\(head, rank=0, pid=\d+\) rank 0 of 2: hello, you$/mu);
    expect(text).toMatch(/^\(worker1, rank=1, pid=\d+, ip=[\d.]+\) rank 1 of 2: hello, you$/mu);
    expect(text.match(/\) ips 2 gpus 0$/gmu)).toHaveLength(2);
    expect(text.match(/\) workdir main ünïcode leaf\.txt ignored:$/gmu)).toHaveLength(2);
    expect(text.match(/\) mounts the input mounted file$/gmu)).toHaveLength(2);
    expect(text).toContain("✓ Job finished (status: SUCCEEDED).");
    expect(text).toContain("├── To cancel the job:\t\tsky cancel t1 1");
    expect(exitCode).toBe(0);
  });

  it("status shows the cluster in its table, in full and as JSON", async () => {
    expect(await statusOf("t1")).toMatchObject({ NAME: "t1", STATUS: "UP", AUTOSTOP: "-" });
    expect((await statusOf("t1"))?.["RESOURCES"]).toMatch(/^2x\(/u);
    const verbose = await sky("status", "-v");
    expect(verbose.text).toMatch(/sky launch -y -c t1 --env WHO=\S+ task\.yaml/u);
    const json = await sky("status", "-o", "json");
    expect(JSON.parse(json.stdout)).toMatchObject([{ name: "t1", status: "UP", nodes: 2, autostop: -1 }]);
    const ip = await sky("status", "--ip", "t1");
    expect(ip.stdout.trim()).toMatch(/^[\d.]+$/u);
    expect([verbose.exitCode, json.exitCode, ip.exitCode]).toEqual([0, 0, 0]);
  });

  it("queue lists the job", async () => {
    const { stdout, exitCode } = await sky("queue", "t1");
    expect(parseTable(stdout, "ID")).toMatchObject([{ ID: "1", NAME: "hello", STATUS: "SUCCEEDED" }]);
    expect(exitCode).toBe(0);
  });

  it("logs gives the job's output again, its tail, its status and its files", async () => {
    const all = await sky("logs", "t1", "1", "--no-follow");
    expect(all.text).toMatch(/^\(head, rank=0, pid=\d+\) rank 0 of 2: hello, you$/mu);
    expect(all.text).toContain("✓ Job finished (status: SUCCEEDED).");
    expect(all.exitCode).toBe(0);
    const tail = await sky("logs", "t1", "--tail", "1");
    expect(tail.text).not.toContain("rank 0 of 2");
    const status = await sky("logs", "t1", "1", "--status");
    expect(status.text).toContain("Job 1: SUCCEEDED");
    expect(status.exitCode).toBe(0);
    const missing = await sky("logs", "t1", "99");
    expect(missing.text).toContain("Job 99 not found");
    expect(missing.exitCode).toBe(102);
    const sync = await sky("logs", "t1", "1", "--sync-down");
    expect(sync.text).toMatch(/Job 1 logs: /u);
    const dir = /Job 1 logs: (\S+)/u.exec(sync.text)?.[1]?.replace(/^~/u, client.home) ?? "";
    expect(readdirSync(dir, { recursive: true, encoding: "utf8" })).toContain("run.log");
    expect(readFileSync(join(dir, "run.log"), "utf8")).toContain("rank 1 of 2: hello, you");
  });

  it("logs --provision shows how the cluster came up", async () => {
    const { stdout, exitCode } = await sky("logs", "--provision", "t1");
    expect(stdout.trim()).not.toBe("");
    expect(exitCode).toBe(0);
  });

  it("exec syncs the workdir, runs on one node and gives the job's exit code", async () => {
    writeFileSync(join(sandbox.work, "project/main.txt"), "second version\n");
    const good = await sky("exec", "t1", "--workdir", "project", "cat main.txt; echo on $SKYPILOT_NUM_NODES node");
    expect(good.text).toContain("Submitting job to cluster: t1");
    expect(good.text).toMatch(/^\(head, rank=0, pid=\d+\) second version$/mu);
    expect(good.text).toMatch(/^\(head, rank=0, pid=\d+\) on 1 node$/mu);
    expect(good.exitCode).toBe(0);
    const bad = await sky("exec", "t1", "--", "bash", "-c", "'exit 7'");
    expect(bad.text).toContain("ERROR: Job 3 failed with return code list: [7]");
    expect(bad.exitCode).toBe(100);
  });

  it("launch again reuses the cluster", async () => {
    const { text, exitCode } = await sky(
      "launch",
      "-y",
      "-c",
      "t1",
      "--infra",
      "ssh/local",
      "--num-nodes",
      "2",
      "echo again",
    );
    expect(text).toContain("Running on cluster: t1");
    expect(text.match(/\) again$/gmu)).toHaveLength(2);
    expect(exitCode).toBe(0);
  });

  it("cancel ends the job's processes and its log ends with 103", async () => {
    const marker = join(sandbox.root, "alive");
    const launched = await sky("exec", "-d", "t1", `touch ${marker}; exec sleep 1001`);
    expect(launched.exitCode).toBe(0);
    await waitFor("the job to run", () => existsSync(marker));
    const { text, exitCode } = await sky("cancel", "-y", "t1", "5");
    expect(text).toContain("Cancelled job ID(s): 5");
    expect(exitCode).toBe(0);
    expect(sandbox.processes().filter(({ argv }) => argv.includes("1001"))).toEqual([]);
    const logs = await sky("logs", "t1", "5");
    expect(logs.exitCode).toBe(103);
    const queue = await sky("queue", "t1");
    expect(parseTable(queue.stdout, "ID").find((row) => row["ID"] === "5")).toMatchObject({ STATUS: "CANCELLED" });
  });

  it("stop keeps the files, exec is refused, start brings everything back", async () => {
    const stop = await sky("stop", "-y", "t1");
    expect(stop.text).toContain("Stopping cluster t1...done.");
    expect(await statusOf("t1")).toMatchObject({ STATUS: "STOPPED" });
    const refused = await sky("exec", "t1", "echo no");
    expect(refused.text).toContain("ClusterNotUpError");
    expect(refused.exitCode).toBe(1);
    const start = await sky("start", "-y", "t1");
    expect(start.text).toContain("Cluster t1 started.");
    expect(await statusOf("t1")).toMatchObject({ STATUS: "UP" });
    const after = await sky("exec", "t1", "cat main.txt ~/data/input.txt");
    expect(after.text).toContain("second version\n");
    expect(after.text).toContain("the input\n");
    expect([stop.exitCode, start.exitCode, after.exitCode]).toEqual([0, 0, 0]);
  });

  it("autostop is set, shown and cancelled", async () => {
    const set = await sky("autostop", "-y", "-i", "10", "t1");
    expect(set.text).toContain("The cluster will be autostopped after 10 minutes of idleness.");
    expect(await statusOf("t1")).toMatchObject({ AUTOSTOP: "10m" });
    await sky("autostop", "-y", "-i", "60", "--down", "t1");
    expect(await statusOf("t1")).toMatchObject({ AUTOSTOP: "1h (down)" });
    const cancelled = await sky("autostop", "-y", "--cancel", "t1");
    expect(await statusOf("t1")).toMatchObject({ AUTOSTOP: "-" });
    expect([set.exitCode, cancelled.exitCode]).toEqual([0, 0]);
  });

  it("cost-report counts the cluster", async () => {
    const { stdout, exitCode } = await sky("cost-report");
    expect(parseTable(stdout, "NAME")).toMatchObject([{ NAME: "t1", STATUS: "UP" }]);
    expect(plainText(stdout)).toContain("Total Cost: $0.00");
    expect(exitCode).toBe(0);
  });

  it("api info, status, logs and cancel", async () => {
    const info = await sky("api", "info");
    expect(info.text).toContain("ApiServerStatus.HEALTHY");
    expect(info.text).toContain("Endpoint set via the environment variable SKYPILOT_API_SERVER_ENDPOINT");
    const list = await sky("api", "status", "-a", "-l", "all");
    const rows = parseTable(list.stdout, "ID");
    const launch = rows.filter((row) => row["Name"] === "sky.launch" && row["Status"] === "SUCCEEDED");
    expect(launch.length).toBeGreaterThan(1);
    const logs = await sky("api", "logs", launch.at(-1)?.["ID"] ?? "");
    expect(logs.text).toContain("Considered resources");
    const slow = await sky("launch", "-y", "-c", "slow", "--async", "--infra", "ssh/local", "sleep 1002");
    const id = /request: ([0-9a-f-]{36})/u.exec(slow.text)?.[1] ?? "";
    const cancel = await sky("api", "cancel", id);
    expect(cancel.text).toMatch(/Cancelled 1 request|No requests need to be cancelled/u);
    expect([info.exitCode, list.exitCode, logs.exitCode, slow.exitCode, cancel.exitCode]).toEqual([0, 0, 0, 0, 0]);
  });

  it("errors reach the official client as their own classes", async () => {
    const missing = await sky("exec", "nosuch", "echo hi");
    expect(missing.text).toContain("sky.exceptions.ClusterDoesNotExist: Cluster 'nosuch' does not exist.");
    expect(missing.exitCode).toBe(1);
    const mismatch = await sky("launch", "-y", "-c", "t1", "--infra", "ssh/local", "--num-nodes", "3", "echo hi");
    expect(mismatch.text).toContain("ResourcesMismatchError");
    expect(mismatch.exitCode).toBe(1);
  });

  it("down leaves nothing behind", async () => {
    const { text, exitCode } = await sky("down", "-y", "-a");
    expect(text).toContain("Terminating cluster t1...done.");
    expect(exitCode).toBe(0);
    const status = await sky("status");
    expect(status.text).toContain("No existing clusters.");
    expect(existsSync(join(client.home, ".sky/generated/ssh/t1"))).toBe(false);
    expect(readdirSync(join(sandbox.home, ".sky/local"))).toEqual([]);
    const log = await sky("logs", "--provision", "t1");
    expect(log.text).toContain("Cluster t1 is up.");
    expect(log.exitCode).toBe(0);
    const report = await sky("cost-report", "-a");
    expect(parseTable(report.stdout, "NAME").find((row) => row["NAME"] === "t1")).toMatchObject({
      STATUS: "TERMINATED",
    });
    const server = sandbox.serverProcesses().map(({ pid }) => pid);
    expect(sandbox.processes().filter(({ pid }) => !server.includes(pid))).toEqual([]);
  });
});
