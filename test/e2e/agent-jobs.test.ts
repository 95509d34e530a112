import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { TaskCgroups } from "../../src/agent/tasks/cgroups.ts";
import { AGENT_BUNDLE, ranksLines, Rig, waitUntil, type RigOptions } from "./agent-rig.ts";

let rig: Rig;
afterEach(() => rig.stop());
const startRig = async (options: RigOptions = {}): Promise<void> => {
  rig = await Rig.start(options);
};

describe("one job", () => {
  test("setup and run see their environment, the log has the original's form", async () => {
    await startRig();
    const jobId = await rig.submit({
      name: "hello",
      setup: `echo "setup $SKYPILOT_SETUP_NODE_RANK $SKYPILOT_SETUP_NODE_IPS $SKYPILOT_SETUP_NUM_GPUS_PER_NODE \${CUDA_VISIBLE_DEVICES-unset}"`,
      run: [
        'echo "$MY_ENV|$MY_SECRET|$SKYPILOT_TASK_ID|$SKYPILOT_CLUSTER_INFO|$SKYPILOT_USER"',
        'echo "$SKYPILOT_NODE_RANK/$SKYPILOT_NUM_NODES $SKYPILOT_NODE_IPS $SKYPILOT_NUM_GPUS_PER_NODE $SKYPILOT_INTERNAL_JOB_ID"',
        'echo "[${CUDA_VISIBLE_DEVICES-unset}] $PYTHONUNBUFFERED $PWD" >&2',
        'case $- in *i*) echo "interactive, hi!" ;; esac',
        "exit 0",
      ].join("\n"),
      envs: { MY_ENV: `it's "quoted" $HOME` },
      secrets: { MY_SECRET: "s3cret" },
    });
    expect(ranksLines(await rig.logs(jobId))).toEqual([
      "(setup pid=N) setup 0 127.0.0.1 0 unset",
      `(hello, pid=N) it's "quoted" $HOME|s3cret|sky-2026-11-22-00-00-00-000000_t1_1|{"cluster_name": "t1", "cloud": "Local", "region": "local", "zone": null}|ada`,
      "(hello, pid=N) 0/1 127.0.0.1 0 1",
      `(hello, pid=N) [] 1 ${rig.head.home}/sky_workdir`,
      "(hello, pid=N) interactive, hi!",
    ]);
    const job = await rig.job(jobId);
    expect(job).toMatchObject({ status: "SUCCEEDED", exitCodes: null, logDir: "~/sky_logs/1-hello" });
    const tasks = join(rig.head.home, "sky_logs/1-hello/tasks");
    expect(readdirSync(tasks).sort()).toEqual(["run.log", "setup.log"]);
    expect(readFileSync(join(tasks, "setup.log"), "utf8")).toBe("setup 0 127.0.0.1 0 unset\n");
  });

  test("secrets are nowhere on the disk when the job has ended", async () => {
    await startRig();
    const jobId = await rig.submit({ run: 'test "${#TOKEN}" = 9', secrets: { TOKEN: "canary-47" } });
    await rig.ends(jobId);
    expect((await rig.job(jobId)).status).toBe("SUCCEEDED");
    await waitUntil("the task's folder to go", () => readdirSync(join(rig.head.root, "tasks")).length === 0);
    const hits = execFileSync("sh", ["-c", `grep -rl canary-47 ${rig.directory} || true`]).toString();
    expect(hits).toBe("");
  });

  test("a failing run gives its exit code, a failing setup keeps run from starting", async () => {
    await startRig();
    const failed = await rig.submit({ run: "exit 3" });
    expect((await rig.logs(failed)).split("\n").at(-2)).toBe("ERROR: Job 1 failed with return code list: [3] ");
    expect(await rig.job(failed)).toMatchObject({ status: "FAILED", exitCodes: [3] });
    const unset = await rig.submit({ setup: "exit 7", run: "echo never" });
    const log = await rig.logs(unset);
    expect(log).toMatch(
      /\nERROR: Job 2's setup failed\. Failed workers: \(pid=\d+, returncode=7\)\. See error logs above/,
    );
    expect(log).not.toContain("never");
    expect(await rig.job(unset)).toMatchObject({ status: "FAILED_SETUP" });
  });

  test("a crash of the program is explained", async () => {
    await startRig();
    const jobId = await rig.submit({ run: "bash -c 'kill -SEGV $$'; exit $?" });
    expect(await rig.logs(jobId)).toContain("return code list: [139] (likely due to Segmentation Fault)");
  });

  test("output of any bytes and any line length comes through", async () => {
    await startRig();
    const jobId = await rig.submit({
      run: String.raw`printf '\xff\x00\x1b end\r\n'; printf '1%%\r2%%\r'; head -c 300000 /dev/zero | tr '\0' x; printf '\nno newline'`,
    });
    const log = await rig.logs(jobId);
    expect(log).toContain("end\n");
    expect(log).toContain("x".repeat(300_000));
    expect(log.endsWith("no newline\n")).toBe(true);
  });

  test("the user environment is activated where it exists", async () => {
    await startRig();
    const bin = join(rig.head.home, "sky-user-env/bin");
    mkdirSync(bin, { recursive: true });
    writeFileSync(join(bin, "activate"), "export MY_VENV=active\n");
    expect(await rig.logs(await rig.submit({ run: "echo venv=$MY_VENV" }))).toContain("venv=active");
  });

  test("the script of a background process may outlive the job", async () => {
    await startRig();
    const jobId = await rig.submit({ run: "sleep 30 & echo $! > pid; echo started" });
    await rig.ends(jobId);
    const pid = Number(readFileSync(join(rig.head.home, "sky_workdir/pid"), "utf8"));
    expect(existsSync(`/proc/${pid}`)).toBe(true);
    process.kill(pid, "SIGKILL");
  });
});

describe("the queue", () => {
  test("the same key is the same job; missing and impossible submissions are refused", async () => {
    await startRig();
    expect(await rig.submit({ key: "k", run: "true" })).toBe(1);
    expect(await rig.submit({ key: "k", run: "true" })).toBe(1);
    await expect(rig.submit({ setup: " ", run: "" })).rejects.toThrow("Run commands not specified or empty.");
    await expect(rig.submit({ run: "true", numNodes: 2 })).rejects.toThrow("the cluster has 1");
    await expect(rig.submit({ run: "true", envs: { "A B": "x" } })).rejects.toThrow('"A B" cannot be the name');
  });

  test("jobs share the node by their demands, devices included", async () => {
    await startRig({
      config: { resources: { cpus: 8, memoryGib: 8, accelerators: { A100: 2 } }, deviceIndices: [4, 6] },
    });
    const show =
      'echo "devices=$CUDA_VISIBLE_DEVICES count=$SKYPILOT_NUM_GPUS_PER_NODE"; until [ -e go ]; do sleep 0.05; done';
    const ids = [];
    for (const count of [0.5, 0.5, 1, 1])
      ids.push(await rig.submit({ run: show, demand: { accelerators: { A100: count } } }));
    for (const id of ids.slice(0, 3)) await rig.reaches(id, "RUNNING");
    expect((await rig.job(4)).status).toBe("PENDING");
    writeFileSync(join(rig.head.home, "sky_workdir/go"), "");
    const lines = [];
    for (const id of ids) lines.push(ranksLines(await rig.logs(id))[0]);
    expect(lines.slice(0, 3)).toEqual([
      "(task, pid=N) devices=4 count=1",
      "(task, pid=N) devices=4 count=1",
      "(task, pid=N) devices=6 count=1",
    ]);
  });

  test("many short jobs all run", async () => {
    await startRig();
    const ids = await Promise.all(
      Array.from({ length: 40 }, () => rig.submit({ run: "echo $SKYPILOT_INTERNAL_JOB_ID" })),
    );
    for (const id of ids) expect(ranksLines(await rig.logs(id))).toEqual([`(task, pid=N) ${id}`]);
    const { jobs } = await (await rig.head.peer()).call("queue", {});
    expect(jobs.map((job) => job.status)).toEqual(Array.from({ length: 40 }, () => "SUCCEEDED"));
  });

  test("a script without run only sets up", async () => {
    await startRig({ config: { resources: { cpus: 1, memoryGib: 1, accelerators: {} } } });
    const jobId = await rig.submit({ setup: "echo done", demand: { accelerators: { A100: 8 } } });
    expect(ranksLines(await rig.logs(jobId))).toEqual(["(setup pid=N) done"]);
    expect((await rig.job(jobId)).status).toBe("SUCCEEDED");
  });
});

describe("cancel", () => {
  test("ends the whole tree, daemons that left it included, before it answers", async () => {
    await startRig();
    const jobId = await rig.submit({
      run: `(setsid sh -c 'echo $$ > daemon; exec sleep 1000' &)
(setsid env -i sh -c 'echo $$ > bare; exec sleep 1000' &)
sh -c 'trap "" TERM; echo $$ > stubborn; while :; do sleep 0.1; done' &
echo up; sleep 1000; echo after`,
      gracePeriodSeconds: 1,
    });
    const workdir = join(rig.head.home, "sky_workdir");
    const pids = await waitUntil("all processes", () => {
      const names = ["daemon", "bare", "stubborn"].map((name) => join(workdir, name));
      return names.every((name) => existsSync(name) && readFileSync(name, "utf8").endsWith("\n"))
        ? names.map((name) => Number(readFileSync(name, "utf8")))
        : undefined;
    });
    const peer = await rig.head.peer();
    expect(await peer.call("cancel", { key: "c", jobIds: [jobId, 99] })).toEqual({ jobIds: [jobId] });
    const alive = pids.filter(isRunning);
    // Only a control group holds a process that leaves its session and clears its environment; not everybody may make one.
    const canGroup = TaskCgroups.open("00000000") !== undefined;
    expect(alive.filter((pid) => canGroup || pid !== pids[1])).toEqual([]);
    expect(await rig.logs(jobId)).not.toContain("after");
    expect((await rig.job(jobId)).status).toBe("CANCELLED");
    expect(await peer.call("cancel", { key: "c", jobIds: [jobId] })).toEqual({ jobIds: [jobId] });
    expect(await peer.call("cancel", { key: "c2", jobIds: [jobId] })).toEqual({ jobIds: [] });
    for (const pid of alive) process.kill(pid, "SIGKILL");
  });

  test("a queued job is cancelled without ever starting; others of the user as well", async () => {
    await startRig({ config: { resources: { cpus: 0.5, memoryGib: 1, accelerators: {} } } });
    const running = await rig.submit({ run: "sleep 1000" });
    const queued = await rig.submit({ run: "touch started" });
    const foreign = await rig.submit({ run: "sleep 1000", userHash: "other" });
    await rig.reaches(running, "RUNNING");
    const peer = await rig.head.peer();
    expect(await peer.call("cancel", { key: "1", jobIds: [queued] })).toEqual({ jobIds: [queued] });
    expect(await peer.call("cancel", { key: "2", all: true, userHash: "abcd1234" })).toEqual({ jobIds: [running] });
    await rig.reaches(foreign, "RUNNING");
    expect(await peer.call("cancel", { key: "3", userHash: "other" })).toEqual({ jobIds: [foreign] });
    expect(existsSync(join(rig.head.home, "sky_workdir/started"))).toBe(false);
  });
});

describe("the program", () => {
  test("a second agent in the same root is refused; a missing or wrong configuration is said plainly", async () => {
    await startRig();
    const run = (root: string): string => {
      try {
        execFileSync(process.execPath, [AGENT_BUNDLE, "daemon", "--root", root], { stdio: "pipe" });
        return "";
      } catch (error) {
        return (error as { stderr: Buffer }).stderr.toString();
      }
    };
    expect(run(rig.head.root)).toContain(`Another agent runs in ${rig.head.root}.`);
    expect(run(join(rig.directory, "nowhere"))).toContain("Cannot read the node's configuration");
    rig.head.writeConfig({ clusterToken: "short" });
    const wrong = run(rig.head.root);
    expect(wrong).toContain('"clusterToken" is missing or invalid');
    expect(wrong).not.toContain("short");
    expect(wrong).not.toContain("    at ");
  });

  test("prints its version; connect bridges stdio", async () => {
    await startRig();
    expect(execFileSync(process.execPath, [AGENT_BUNDLE, "--version"]).toString()).toMatch(/^\d+\.\d+\.\d+\n$/);
    const { spawn } = await import("node:child_process");
    const { duplexOverStream } = await import("../../src/shared/agent/byte-duplex.ts");
    const { AgentPeer } = await import("../../src/shared/agent/peer.ts");
    const { Duplex } = await import("node:stream");
    const child = spawn(process.execPath, [AGENT_BUNDLE, "connect", "--root", rig.head.root], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const duplex = Duplex.from({ readable: child.stdout, writable: child.stdin });
    const peer = new AgentPeer(duplexOverStream(duplex), { role: "dialer", keepaliveMs: 0 });
    expect((await peer.call("hello", { protocol: 1 })).clusterName).toBe("t1");
    const exited = new Promise((resolve) => child.once("exit", resolve));
    peer.close();
    await exited;
  });
});

/** Whether a process does more than wait for its parent to take notice of its end. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
