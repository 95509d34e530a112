/** Networks that fall apart under a gang: unreachable is not dead, and what was given up ends, also where nobody can say so. */
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { GATEWAY } from "../fleet/world.ts";
import type { Host } from "../fleet/host.ts";
import { describeWithFleet } from "../fleet/requirements.ts";
import { createSshPool, type SshPool } from "../fleet/ssh-pool.ts";
import { countMarks } from "./support/crash-points.ts";
import { plainText } from "./support/plain-text.ts";
import type { RunningProgram } from "./support/run-program.ts";
import { waitFor } from "./support/wait-for.ts";

/** What a rank is found by that nobody could tell to end. */
const LASTING = "sleep 3611";
const LEDGER = "/var/tmp/ledger";
/** Shorter than the head waits for a worker (60 s), longer than either side needs to notice (15 s). */
const SHORT_MS = 25_000;
/** Longer than a worker waits for a sign of life of its head (90 s, and what it takes to notice). */
const LONG_MS = 120_000;

describeWithFleet("a network that falls apart under a gang", () => {
  let pool: SshPool;
  let head: Host;
  let worker: Host;
  let other: Host;

  beforeAll(async () => {
    pool = await createSshPool([{ name: "n0" }, { name: "n1" }, { name: "n2" }]);
    await pool.sandbox.startServer();
    await sky("ssh", "up");
    const ips = await sky(
      "launch",
      "-y",
      "-c",
      "c",
      "--infra",
      "ssh/rack",
      "--num-nodes",
      "3",
      "echo $SKYPILOT_NODE_IPS",
    );
    const order = (/\) (10\.\S+) (\S+) (\S+)$/mu.exec(ips) ?? []).slice(1);
    [head, worker, other] = order.map((ip) => pool.hosts.find(({ address }) => address === ip)) as [Host, Host, Host];
  });

  afterAll(() => pool?.dispose());

  async function sky(...args: readonly string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await pool.sandbox.sky(args, { timeoutMs: 150_000 });
    if (exitCode !== 0) throw new Error(`sky ${args.join(" ")}\n${stdout}${stderr}`);
    return plainText(stdout);
  }

  /** A job on all nodes that notes its start and counts, a number every half second. */
  async function startCounting(mark: string, seconds: number, then = "true"): Promise<RunningProgram> {
    let text = "";
    const count = `for n in $(seq ${seconds * 2}); do echo "${mark} $n"; sleep 0.5; done; ${then}`;
    const job = pool.sandbox.startSky(["exec", "c", "--num-nodes", "3", `echo ${mark} >> ${LEDGER}; ${count}`], {
      timeoutMs: 150_000,
      onOutput: (more) => {
        text += more;
      },
    });
    await waitFor(`${mark} to begin`, () => plainText(text).match(new RegExp(`\\) ${mark} 3$`, "gmu"))?.length === 3);
    return job;
  }

  /** All lines of all ranks, once and in order, of a job that ran once on each node. */
  async function expectWhole(job: RunningProgram, mark: string, seconds: number): Promise<void> {
    const { exitCode, stdout, stderr } = await job.result;
    const lines = plainText(stdout).split("\n");
    for (const rank of ["head", "worker1", "worker2"]) {
      const said = lines.filter((line) => line.startsWith(`(${rank},`)).map((line) => line.replace(/^[^)]*\) /u, ""));
      expect(said, stderr).toEqual(Array.from({ length: seconds * 2 }, (_, n) => `${mark} ${n + 1}`));
    }
    expect(exitCode, stdout + stderr).toBe(0);
    for (const host of pool.hosts) expect(countMarks([host.readFile(LEDGER)], mark)).toBe(1);
  }

  test("a worker is cut off from everybody for a while: its rank and the job go on", async () => {
    const job = await startCounting("cut", 40);
    await worker.setLink({ isDown: true });
    await delay(SHORT_MS);
    await worker.setLink({});
    await expectWhole(job, "cut", 40);
  });

  test("head and worker lose each other, though the server sees both: the same", async () => {
    const job = await startCounting("pair", 40);
    await worker.loseSight([head.address]);
    await delay(SHORT_MS);
    await worker.regainSight([head.address]);
    await expectWhole(job, "pair", 40);
  });

  test("the server loses the head: the job runs on, and nothing is taken for gone", async () => {
    const job = await startCounting("blind", 40);
    await head.loseSight([GATEWAY]);
    const before = Date.now();
    const status = await sky("status", "--refresh", "c");
    expect(status).toMatch(/^c .* (UP|INIT|UNHEALTHY) /mu);
    await delay(Math.max(0, SHORT_MS - (Date.now() - before)));
    await head.regainSight([GATEWAY]);
    await expectWhole(job, "blind", 40);
    expect(await sky("status", "--refresh", "c")).toMatch(/^c .* UP /mu);
  });

  test(
    "too long: the job fails by the node's name, and the node, still cut off, ends its rank by itself",
    { timeout: 400_000 },
    async () => {
      const job = await startCounting("long", 2, LASTING);
      await waitFor("the ranks", () => pool.hosts.every((host) => ranksOn(host) === 1));
      await worker.setLink({ isDown: true });
      const { exitCode, stdout } = await job.result;
      expect(exitCode, stdout).toBe(100);
      expect(plainText(stdout)).toContain(`failed: node worker1 (${worker.address}) has been unreachable for 60 s: `);
      // Later than the head, so that it never ends what is not given up.
      expect(ranksOn(worker)).toBe(1);
      await waitFor("the others to end", () => ranksOn(head) + ranksOn(other) === 0);
      await waitFor("the rank of the node that nobody reaches to end", () => ranksOn(worker) === 0, {
        timeoutMs: 60_000,
      });
      // What fits on the rest runs meanwhile; what needs the node waits for it.
      expect(await sky("exec", "c", "--num-nodes", "2", "echo two of us")).toContain("two of us");
      const waiting = pool.sandbox.startSky(["exec", "c", "--num-nodes", "3", `echo next >> ${LEDGER}; echo next`]);
      await waitFor("the next job in the queue", async () => /PENDING/u.test(await sky("queue", "c")));
      await worker.setLink({});
      const next = await waiting.result;
      expect(plainText(next.stdout).match(/\) next$/gmu), next.stdout + next.stderr).toHaveLength(3);
      for (const host of pool.hosts) {
        expect(countMarks([host.readFile(LEDGER)], "long")).toBe(1);
        expect(countMarks([host.readFile(LEDGER)], "next")).toBe(1);
      }
    },
  );

  test(
    "the head's agent is stuck for longer than that: it has given nothing up, so nothing ends",
    { timeout: 300_000 },
    async () => {
      const job = await startCounting("stuck", 130);
      expect(head.signal(/agent\.cjs daemon/u, "SIGSTOP")).toBeGreaterThan(0);
      await delay(LONG_MS);
      head.signal(/agent\.cjs daemon/u, "SIGCONT");
      await expectWhole(job, "stuck", 130);
    },
  );

  function ranksOn(host: Host): number {
    return host.processes().filter(({ argv }) => argv.join(" ") === LASTING).length;
  }

  test("down ends all of it", async () => {
    await sky("down", "-y", "c");
    for (const host of pool.hosts) expect(host.signal(/agent\.cjs daemon/u, "SIGKILL")).toBe(0);
  });
});
