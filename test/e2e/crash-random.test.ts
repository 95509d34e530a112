import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { plainText } from "./support/plain-text.ts";
import { announceSeed, seededRandom } from "./support/random.ts";
import type { RunResult } from "./support/run-program.ts";
import { Sandbox } from "./support/sandbox.ts";

const LINES = 300;
const PREFIX = /^\([^)]*pid=\d+\) /u;
const KINDS = ["launch", "exec", "logs"] as const;

describe("kill -9 of the server at twenty random moments", () => {
  const seed = announceSeed("SKY_CRASH_SEED");
  const random = seededRandom(seed);
  const rounds = Array.from({ length: 20 }, (_, index) => ({
    index,
    kind: KINDS[index % KINDS.length] ?? "logs",
    moment: random(),
    pause: random(),
  }));
  let sandbox: Sandbox;
  let ledger: string;
  /** How long each command takes when nothing is killed: the moments are drawn from that. */
  const cleanMs = { launch: 0, exec: 0, logs: 0 };

  beforeAll(async () => {
    sandbox = await Sandbox.create();
    ledger = join(sandbox.root, "ledger");
    writeFileSync(ledger, "");
    sandbox.write("project/file.txt", "synced");
    await sandbox.startServer();
    cleanMs.launch = (await runClean("launch", "base", "clean-launch")).elapsedMs;
    cleanMs.exec = (await runClean("exec", "base", "clean-exec")).elapsedMs;
    cleanMs.logs = cleanMs.exec;
  });

  afterAll(async () => {
    await sandbox?.dispose();
  });

  /** A job that notes each of its starts and writes numbered lines for about a second. */
  function job(mark: string): string {
    return [
      `echo ${mark} >> ${ledger}`,
      `test "$(cat file.txt)" = synced || exit 9`,
      `for n in $(seq ${LINES}); do echo "${mark} $n ünï"; if [ $((n % 10)) = 0 ]; then sleep 0.02; fi; done`,
    ].join("; ");
  }

  function argvOf(kind: "launch" | "exec", cluster: string, mark: string): string[] {
    return kind === "launch"
      ? ["launch", "-y", "-c", cluster, "--workdir", "project", job(mark)]
      : ["exec", cluster, "--workdir", "project", job(mark)];
  }

  async function runClean(kind: "launch" | "exec", cluster: string, mark: string): Promise<RunResult> {
    const result = await sandbox.sky(argvOf(kind, cluster, mark));
    expectWholeStream(result, mark);
    return result;
  }

  function expectWholeStream(result: RunResult, mark: string): void {
    const about = `seed ${seed}\nstdout:\n${result.stdout.slice(0, 3000)}\nstderr:\n${result.stderr.slice(0, 3000)}`;
    const lines = plainText(result.stdout)
      .split("\n")
      .filter((line) => PREFIX.test(line));
    expect(
      lines.map((line) => line.replace(PREFIX, "")),
      about,
    ).toEqual(Array.from({ length: LINES }, (_, n) => `${mark} ${n + 1} ünï`));
    expect(plainText(result.stdout)).toContain("Job finished (status: SUCCEEDED).");
    expect(result.exitCode, about).toBe(0);
  }

  function starts(mark: string): number {
    return readFileSync(ledger, "utf8")
      .split("\n")
      .filter((line) => line === mark).length;
  }

  /** Kills the server after `afterMs`, leaves the client alone for a while, starts the server again. */
  async function crash(afterMs: number, pauseMs: number): Promise<void> {
    await delay(afterMs);
    await sandbox.killServer();
    await delay(pauseMs);
    await sandbox.startServer();
  }

  async function jsonStatus(): Promise<{ name: string; status: string; nodes: number }[]> {
    return JSON.parse((await sandbox.sky(["status", "-o", "json"])).stdout) as {
      name: string;
      status: string;
      nodes: number;
    }[];
  }

  it.each(rounds)("round $index: $kind", { timeout: 90_000 }, async ({ index, kind, moment, pause }) => {
    const mark = `round-${index}`;
    const cluster = kind === "launch" ? `c${index}` : "base";
    if (kind === "logs") {
      const submitted = await sandbox.sky(["exec", "-d", cluster, "--workdir", "project", job(mark)]);
      expect(submitted.exitCode, submitted.stderr).toBe(0);
    }
    const argv = kind === "logs" ? ["logs", cluster, "--tail", "0"] : argvOf(kind, cluster, mark);
    const client = sandbox.startSky(argv, { timeoutMs: 80_000 });
    await crash(moment * cleanMs[kind], pause * 300);
    expectWholeStream(await client.result, mark);
    expect(starts(mark), `seed ${seed}: how often the job ran`).toBe(1);
    const clusters = await jsonStatus();
    expect(clusters.filter(({ name }) => name === cluster)).toMatchObject([{ name: cluster, status: "UP", nodes: 1 }]);
    const again = await sandbox.sky(["logs", cluster, "--tail", "0"]);
    expectWholeStream(again, mark);
    if (kind === "launch") {
      const down = await sandbox.sky(["down", "-y", cluster]);
      expect(down.exitCode, down.stderr).toBe(0);
    }
  });

  it("leaves no cluster, node directory or process that it should not", async () => {
    expect((await jsonStatus()).map(({ name }) => name)).toEqual(["base"]);
    await sandbox.sky(["down", "-y", "base"]);
    const local = join(sandbox.home, ".sky/local");
    expect(existsSync(local) ? readdirSync(local) : []).toEqual([]);
    const server = sandbox.serverProcesses().map(({ pid }) => pid);
    expect(server).toHaveLength(1);
    expect(sandbox.processes().filter(({ pid }) => !server.includes(pid))).toEqual([]);
  });
});
