import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Host } from "../fleet/host.ts";
import { describeWithFleet } from "../fleet/requirements.ts";
import { createSshPool, type SshPool } from "../fleet/ssh-pool.ts";
import { plainText } from "./support/plain-text.ts";
import type { RunningProgram, RunResult } from "./support/run-program.ts";
import { waitFor } from "./support/wait-for.ts";

const LINES = 60;
/** Of a job that does not end by itself while a machine is switched off. */
const LONG_LINES = 2000;
const LEDGER = "/var/tmp/ledger";

describeWithFleet("faults of machines that are reached by SSH", () => {
  let pool: SshPool;
  let head: Host;
  let worker: Host;
  let strict: Host;
  let up: RunResult;

  beforeAll(async () => {
    pool = await createSshPool([
      { name: "head" },
      { name: "worker" },
      // Chosen by the GPUs that they seem to have.
      { name: "tiny", gpus: ["NVIDIA L4"], diskMib: 100 },
      {
        name: "strict",
        gpus: ["NVIDIA H100 80GB HBM3"],
        sshd: { config: { MaxStartups: "1:100:1", MaxSessions: "2" } },
      },
    ]);
    [head, worker, , strict] = pool.hosts as [Host, Host, Host, Host];
    await pool.sandbox.startServer();
    up = await pool.sandbox.sky(["ssh", "up"]);
    await sky("launch", "-y", "-c", "c", "--infra", "ssh/rack", "--num-nodes", "2", "true");
  });

  afterAll(async () => {
    await pool?.dispose();
  });

  async function sky(...args: readonly string[]): Promise<RunResult> {
    const result = await pool.sandbox.sky(args);
    if (result.exitCode !== 0) throw new Error(`sky ${args.join(" ")}\n${result.stdout}${result.stderr}`);
    return result;
  }

  function counting(mark: string, lines = LINES): string {
    return `for n in $(seq ${lines}); do echo "${mark} $n"; sleep 0.05; done`;
  }

  interface FollowedJob {
    readonly client: RunningProgram;
    /** Waits until the output has a line of the job. */
    readonly says: (line: string) => Promise<true>;
  }

  /** A job on both nodes that notes each start and writes numbered lines for about three seconds. */
  function startJob(mark: string, script?: string, options: readonly string[] = []): FollowedJob {
    let text = "";
    const argv = [
      "exec",
      "c",
      "--num-nodes",
      "2",
      ...options,
      `echo ${mark} >> ${LEDGER}; ${script ?? counting(mark)}`,
    ];
    const client = pool.sandbox.startSky(argv, {
      onOutput: (more) => {
        text += more;
      },
    });
    const says = (line: string): Promise<true> =>
      waitFor(`"${line}" in\n${text}`, () => plainText(text).includes(`) ${line}\n`));
    return { client, says };
  }

  /** Every line of every rank came once and in order, and each rank ran once. */
  async function expectWhole(job: FollowedJob, mark: string): Promise<void> {
    const result = await job.client.result;
    const text = plainText(result.stdout);
    for (const rank of ["head", "worker1"]) {
      const lines = text.split("\n").filter((line) => line.startsWith(`(${rank}`));
      expect(
        lines.map((line) => line.replace(/^\([^)]*\) /u, "")),
        plainText(result.stderr),
      ).toEqual(Array.from({ length: LINES }, (_, n) => `${mark} ${n + 1}`));
    }
    expect(result.exitCode, text + result.stderr).toBe(0);
    for (const host of [head, worker]) {
      const starts = host.readFile(LEDGER).split("\n");
      expect(starts.filter((line) => line === mark)).toHaveLength(1);
    }
  }

  test("sshd and every connection die while a job runs", async () => {
    const job = startJob("sshd");
    await job.says("sshd 5");
    await head.killSshd({ sessions: true });
    await delay(1000);
    await head.startSshd();
    await expectWhole(job, "sshd");
  });

  test("the head's agent is killed while a job runs", async () => {
    const job = startJob("agent");
    await job.says("agent 5");
    expect(head.signal(/agent\.cjs daemon/u, "SIGKILL")).toBe(1);
    await expectWhole(job, "agent");
  });

  test("a worker's agent is killed while a job runs", async () => {
    const job = startJob("workers-agent");
    await job.says("workers-agent 5");
    expect(worker.signal(/agent\.cjs daemon/u, "SIGKILL")).toBe(1);
    await expectWhole(job, "workers-agent");
  });

  test("the head cannot be reached for a while: nothing is taken for dead", async () => {
    const job = startJob("partition");
    await job.says("partition 5");
    await head.setLink({ isDown: true });
    await delay(20_000);
    await head.setLink({});
    await expectWhole(job, "partition");
  });

  test("a job runs over a link that loses packets", async () => {
    await head.setLink({ delayMs: 20, lossPercent: 3 });
    await worker.setLink({ delayMs: 20, lossPercent: 3 });
    const job = startJob("lossy");
    await expectWhole(job, "lossy");
    await head.setLink({});
    await worker.setLink({});
  });

  test("a link of 1 KB/s is slow, not dead", async () => {
    await head.setLink({ rateKbit: 8 });
    const result = await pool.sandbox.sky(["exec", "c", "echo slow"], { timeoutMs: 120_000 });
    expect(plainText(result.stdout)).toContain(") slow\n");
    await head.setLink({});
  });

  test("an upload that is cut off goes on where it was", async () => {
    mkdirSync(join(pool.sandbox.work, "big"));
    for (let n = 0; n < 6; n += 1) writeFileSync(join(pool.sandbox.work, `big/f${n}`), randomBytes(1_000_000));
    const sum = await pool.sandbox.start(["sh", "-c", "cat big/f* | sha256sum"]).result;
    await head.setLink({ rateKbit: 20_000 });
    const job = startJob("upload", "cat f* | sha256sum", ["--workdir", "big"]);
    await waitFor("the first file", async () => (await head.exec(["find", "/home", "-name", "f0"])).stdout !== "");
    await head.killSshd({ sessions: true });
    await delay(500);
    await head.startSshd();
    const { stdout } = await job.client.result;
    await head.setLink({});
    expect(plainText(stdout).match(new RegExp(`\\) ${sum.stdout.trim()}$`, "gmu"))).toHaveLength(2);
  });

  test("a host whose disk is full says so, and keeps nobody from the others", () => {
    expect(plainText(up.stdout + up.stderr)).toMatch(
      /✗ tiny: The disk of tiny is full: .*(?:No space left on device|Wrote only)/u,
    );
    expect(plainText(up.stdout)).toContain("✔ strict: ");
    expect(up.exitCode).toBe(1);
  });

  test("MaxStartups and MaxSessions are reached: the launch waits and goes on", async () => {
    await strict.killSshd({ sessions: true });
    await strict.startSshd();
    // One connection that does not log in is all that this sshd takes.
    const holder = pool.fleet.start(["bash", "-c", `exec 3<>/dev/tcp/${strict.address}/22; sleep 2`]);
    const launched = await sky("launch", "-y", "-c", "s", "--infra", "ssh/rack", "--gpus", "H100:1", "nvidia-smi -L");
    expect(plainText(launched.stdout)).toContain(") GPU 0: NVIDIA H100 80GB HBM3");
    await holder.result;
    await sky("down", "-y", "s");
  });

  test("a worker is rebooted while a job runs: the job fails by its name, and the next one runs", async () => {
    const job = startJob("worker-reboot", counting("worker-reboot", LONG_LINES));
    await job.says("worker-reboot 5");
    await worker.reboot({ isHard: true });
    const result = await job.client.result;
    expect(result.exitCode, result.stdout + result.stderr).toBe(100);
    expect(plainText(result.stdout)).toContain(`failed: node worker1 (${worker.address}) was rebooted.`);
    await expectWhole(startJob("after-worker"), "after-worker");
  });

  test("the head loses its power while a job runs: the same", async () => {
    const job = startJob("head-reboot", counting("head-reboot", LONG_LINES));
    await job.says("head-reboot 5");
    await head.reboot({ isHard: true });
    const result = await job.client.result;
    expect(result.exitCode, result.stdout + result.stderr).toBe(100);
    expect(plainText(result.stdout)).toContain(`failed: node head (${head.address}) was rebooted.`);
    await expectWhole(startJob("after-head"), "after-head");
  });

  test("a host that comes back as another machine is refused, with what to do", async () => {
    await head.changeHostKey();
    await head.killSshd({ sessions: true });
    await head.startSshd();
    const refused = await pool.sandbox.sky(["exec", "c", "true"]);
    expect(refused.exitCode).toBe(1);
    expect(plainText(refused.stderr)).toContain(
      "error: Cannot reach head by SSH: the host's key (ED25519) is not the one in",
    );
    const repair = /forget the old key: (.+)$/mu.exec(plainText(refused.stderr))?.[1] ?? "false";
    expect((await pool.sandbox.start(["sh", "-c", repair]).result).exitCode).toBe(0);
    await sky("exec", "c", "true");
  });

  test("down leaves nothing on the hosts", async () => {
    await sky("down", "-y", "c");
    for (const host of [head, worker]) {
      const agents = host.processes().filter(({ argv }) => argv.join(" ").includes("agent.cjs daemon"));
      expect(agents).toEqual([]);
      expect(host.list("/home/dev/.sky/nodes").filter((name) => !name.startsWith("."))).toEqual([]);
    }
  });
});
