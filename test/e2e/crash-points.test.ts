import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { plainText } from "./support/plain-text.ts";
import { announceSeed, seededRandom } from "./support/random.ts";
import { Sandbox } from "./support/sandbox.ts";
import { waitFor } from "./support/wait-for.ts";

interface Row {
  readonly name: string;
  readonly status: string;
  readonly nodes: number;
  readonly autostop: number;
}

interface Scenario {
  readonly operation: string;
  /** Commands that lead to the state in which the operation starts. */
  readonly before: readonly (readonly string[])[];
  readonly command: (mark: string) => readonly string[];
  /** What `sky status` shows of the cluster afterwards; undefined when it is gone. */
  readonly after: Partial<Row> | undefined;
  readonly runsJob: boolean;
}

const LAUNCH = ["launch", "-y", "-c", "c", "--num-nodes", "2"];

describe("kill -9 at every failpoint of an operation", () => {
  const seed = announceSeed("SKY_CRASH_SEED");
  /** Points per operation: a seeded sample, or all of them with SKY_CRASH_POINTS=all. */
  const limit = process.env["SKY_CRASH_POINTS"] === "all" ? Infinity : Number(process.env["SKY_CRASH_POINTS"] ?? 8);
  let sandbox: Sandbox;
  let ledger: string;

  const job = (mark: string): string => `echo ${mark} >> ${ledger}; echo ran ${mark}`;
  const scenarios: readonly Scenario[] = [
    {
      operation: "launch",
      before: [],
      command: (mark) => [...LAUNCH, job(mark)],
      after: { status: "UP", nodes: 2 },
      runsJob: true,
    },
    {
      operation: "exec",
      before: [LAUNCH],
      command: (mark) => ["exec", "c", job(mark)],
      after: { status: "UP" },
      runsJob: true,
    },
    {
      operation: "stop",
      before: [LAUNCH],
      command: () => ["stop", "-y", "c"],
      after: { status: "STOPPED", nodes: 2 },
      runsJob: false,
    },
    {
      operation: "start",
      before: [LAUNCH, ["stop", "-y", "c"]],
      command: () => ["start", "-y", "c"],
      after: { status: "UP", nodes: 2 },
      runsJob: false,
    },
    {
      operation: "autostop",
      before: [LAUNCH],
      command: () => ["autostop", "-y", "-i", "50", "c"],
      after: { status: "UP", autostop: 50 },
      runsJob: false,
    },
    { operation: "down", before: [LAUNCH], command: () => ["down", "-y", "c"], after: undefined, runsJob: false },
  ];

  beforeAll(async () => {
    sandbox = await Sandbox.create();
    ledger = join(sandbox.root, "ledger");
    writeFileSync(ledger, "");
  });

  afterAll(async () => {
    await sandbox?.dispose();
  });

  async function run(args: readonly string[]): Promise<void> {
    const result = await sandbox.sky(args);
    if (result.exitCode !== 0) throw new Error(`sky ${args.join(" ")}\n${result.stdout}${result.stderr}`);
  }

  async function restart(env: Readonly<Record<string, string>> = {}): Promise<void> {
    if (sandbox.serverProcesses().length > 0) await sandbox.killServer();
    await sandbox.startServer(env);
  }

  async function prepare(scenario: Scenario): Promise<void> {
    await restart();
    if ((await status()).length > 0) await run(["down", "-y", "-a"]);
    for (const command of scenario.before) await run(command);
  }

  async function status(): Promise<readonly Row[]> {
    const { stdout } = await sandbox.sky(["status", "-o", "json"]);
    return JSON.parse(stdout) as readonly Row[];
  }

  /** The failpoints that a clean run passes, in order. */
  async function record(scenario: Scenario): Promise<string[]> {
    const list = join(sandbox.root, "points");
    rmSync(list, { force: true });
    await prepare(scenario);
    await restart({ SKYPILOT_FAILPOINT_LIST: list });
    await run(scenario.command("recorded"));
    return [...new Set(readFileSync(list, "utf8").trim().split("\n"))];
  }

  async function crashAt(point: string, scenario: Scenario, mark: string): Promise<void> {
    await restart({ SKYPILOT_FAILPOINT: point });
    const client = sandbox.startSky(scenario.command(mark), { timeoutMs: 60_000 });
    await waitFor(`the server to die at ${point}`, () => sandbox.serverProcesses().length === 0);
    await sandbox.startServer();
    const result = await client.result;
    const text = plainText(result.stdout + result.stderr);
    expect(result.exitCode, `${point}\n${text}`).toBe(0);
    if (scenario.runsJob) expect(text.match(new RegExp(`\\) ran ${mark}$`, "gmu")), point).not.toBeNull();
  }

  async function expectSound(point: string, scenario: Scenario, mark: string): Promise<void> {
    const rows = await status();
    if (scenario.after === undefined) {
      expect(rows, point).toEqual([]);
      expect(readdirSync(join(sandbox.home, ".sky/local")), point).toEqual([]);
      const server = sandbox.serverProcesses().map(({ pid }) => pid);
      expect(
        sandbox.processes().filter(({ pid }) => !server.includes(pid)),
        point,
      ).toEqual([]);
    } else {
      expect(rows, point).toMatchObject([{ name: "c", ...scenario.after }]);
      expect(readdirSync(join(sandbox.home, ".sky/local")), point).toHaveLength(1);
    }
    const ranks = scenario.operation === "launch" ? 2 : 1;
    const starts = readFileSync(ledger, "utf8")
      .split("\n")
      .filter((line) => line === mark).length;
    expect(starts, `${point}: how many ranks started`).toBe(scenario.runsJob ? ranks : 0);
  }

  it.each(scenarios)("$operation", { timeout: 900_000 }, async (scenario) => {
    const points = await record(scenario);
    expect(points.length).toBeGreaterThan(3);
    const random = seededRandom(seed);
    const chosen = points.length <= limit ? points : points.toSorted(() => random() - 0.5).slice(0, limit);
    process.stdout.write(`${scenario.operation}: ${chosen.length} of ${points.length} failpoints\n`);
    for (const [index, point] of chosen.entries()) {
      const mark = `${scenario.operation}-${index}`;
      await prepare(scenario);
      await crashAt(point, scenario, mark);
      await expectSound(point, scenario, mark);
    }
  });

  it("nothing is left of it all", async () => {
    await restart();
    await run(["down", "-y", "-a"]);
    const local = join(sandbox.home, ".sky/local");
    expect(existsSync(local) ? readdirSync(local) : []).toEqual([]);
  });
});
