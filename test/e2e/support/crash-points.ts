import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { plainText } from "./plain-text.ts";
import { seededRandom } from "./random.ts";
import type { Sandbox } from "./sandbox.ts";

interface Row {
  readonly name: string;
  readonly status: string;
  readonly nodes: number;
  readonly autostop: number;
}

/** An operation on cluster `c`, whose server dies at each of its failpoints. */
export interface CrashScenario {
  readonly operation: string;
  /** Commands that lead to the state in which the operation starts. */
  readonly before: readonly (readonly string[])[];
  readonly command: (mark: string) => readonly string[];
  /** What `sky status` shows of the cluster afterwards; undefined when it is gone. */
  readonly after: Partial<Row> | undefined;
  /** How many ranks of the job start; 0 = the operation runs none. */
  readonly ranks: number;
}

/** How many nodes cluster `c` has. */
export const CRASH_NODES = 2;

type CrashOperation = "launch" | "exec" | "stop" | "start" | "autostop" | "down";

/** The operations on a cluster that `sky launch` makes with the options `place`; `job` leaves a mark for each rank that starts. */
export function crashScenarios(
  operations: readonly CrashOperation[],
  options: { readonly place: readonly string[]; readonly job: (mark: string) => string },
): readonly CrashScenario[] {
  const { place, job } = options;
  const launch = ["launch", "-y", "-c", "c", ...place, "--num-nodes", String(CRASH_NODES)];
  const before = [launch];
  const all: Readonly<Record<CrashOperation, Omit<CrashScenario, "operation">>> = {
    launch: {
      before: [],
      command: (mark) => [...launch, job(mark)],
      after: { status: "UP", nodes: CRASH_NODES },
      ranks: CRASH_NODES,
    },
    exec: { before, command: (mark) => ["exec", "c", job(mark)], after: { status: "UP" }, ranks: 1 },
    stop: { before, command: () => ["stop", "-y", "c"], after: { status: "STOPPED", nodes: CRASH_NODES }, ranks: 0 },
    start: {
      before: [launch, ["stop", "-y", "c"]],
      command: () => ["start", "-y", "c"],
      after: { status: "UP", nodes: CRASH_NODES },
      ranks: 0,
    },
    autostop: {
      before,
      command: () => ["autostop", "-y", "-i", "50", "c"],
      after: { status: "UP", autostop: 50 },
      ranks: 0,
    },
    down: { before, command: () => ["down", "-y", "c"], after: undefined, ranks: 0 },
  };
  return operations.map((operation) => ({ operation, ...all[operation] }));
}

/** How often a mark stands on a line of its own in the files that jobs wrote. */
export function countMarks(ledgers: readonly string[], mark: string): number {
  return ledgers.flatMap((text) => text.split("\n")).filter((line) => line === mark).length;
}

/** What the tests know of the world besides what the server says. */
export interface CrashWorld {
  readonly sandbox: Sandbox;
  /** How often a rank started whose script has the mark. */
  readonly starts: (mark: string) => number | Promise<number>;
  /** What there is on nodes of clusters: directories, processes. Empty when all is down. */
  readonly leftovers: () => readonly string[];
  /** How many clusters there are on the nodes. */
  readonly clusters: () => number;
}

/** Kills the server at every failpoint of an operation, or at a seeded sample of them, and checks that nothing is lost or doubled. */
export class CrashPoints {
  readonly #world: CrashWorld;
  readonly #seed: number;
  /** Points per operation: a seeded sample, or all of them with SKY_CRASH_POINTS=all. */
  readonly #limit: number;

  constructor(world: CrashWorld, options: { readonly seed: number; readonly sample: number }) {
    this.#world = world;
    this.#seed = options.seed;
    const wanted = process.env["SKY_CRASH_POINTS"];
    this.#limit = wanted === "all" ? Infinity : Number(wanted ?? options.sample);
  }

  async run(scenario: CrashScenario): Promise<void> {
    const points = await this.#record(scenario);
    expect(points.length).toBeGreaterThan(3);
    const random = seededRandom(this.#seed);
    const chosen = points.length <= this.#limit ? points : points.toSorted(() => random() - 0.5).slice(0, this.#limit);
    process.stdout.write(`${scenario.operation}: ${chosen.length} of ${points.length} failpoints\n`);
    for (const [index, point] of chosen.entries()) {
      const mark = `${scenario.operation}-${index}`;
      await this.#prepare(scenario);
      await this.#crashAt(point, scenario, mark);
      await this.#expectSound(point, scenario, mark);
    }
  }

  /** Takes everything down and looks whether something is left. */
  async finish(): Promise<void> {
    await this.#restart();
    await this.#sky(["down", "-y", "-a"]);
    expect(this.#world.leftovers()).toEqual([]);
  }

  async #sky(args: readonly string[]): Promise<void> {
    const result = await this.#world.sandbox.sky(args);
    if (result.exitCode !== 0) throw new Error(`sky ${args.join(" ")}\n${result.stdout}${result.stderr}`);
  }

  async #restart(env: Readonly<Record<string, string>> = {}): Promise<void> {
    const { sandbox } = this.#world;
    if (sandbox.serverProcesses().length > 0) await sandbox.killServer();
    await sandbox.startServer(env);
  }

  async #prepare(scenario: CrashScenario): Promise<void> {
    await this.#restart();
    if ((await this.#status()).length > 0) await this.#sky(["down", "-y", "-a"]);
    for (const command of scenario.before) await this.#sky(command);
  }

  async #status(): Promise<readonly Row[]> {
    const { stdout } = await this.#world.sandbox.sky(["status", "-o", "json"]);
    return JSON.parse(stdout) as readonly Row[];
  }

  /** The failpoints that a clean run passes, in order. */
  async #record(scenario: CrashScenario): Promise<string[]> {
    const list = join(this.#world.sandbox.root, "points");
    rmSync(list, { force: true });
    await this.#prepare(scenario);
    await this.#restart({ SKYPILOT_FAILPOINT_LIST: list });
    await this.#sky(scenario.command("recorded"));
    return [...new Set(readFileSync(list, "utf8").trim().split("\n"))];
  }

  async #crashAt(point: string, scenario: CrashScenario, mark: string): Promise<void> {
    const { sandbox } = this.#world;
    await this.#restart({ SKYPILOT_FAILPOINT: point });
    const death = sandbox.watchServer();
    let said = "";
    const client = sandbox.startSky(scenario.command(mark), { timeoutMs: 300_000, onOutput: (more) => (said += more) });
    await death(`the server to die at ${point}`).catch((error: Error) => {
      const log = readFileSync(join(sandbox.home, ".sky/ts/server.log"), "utf8").slice(-4000);
      const text = `${error.message} The client said:\n${plainText(said)}\nThe server said:\n${log}`;
      throw new Error(text, { cause: error });
    });
    await sandbox.startServer();
    const result = await client.result;
    const text = plainText(result.stdout + result.stderr);
    expect(result.exitCode, `${point}\n${text}`).toBe(0);
    if (scenario.ranks > 0) expect(text.match(new RegExp(`\\) ran ${mark}$`, "gmu")), point).not.toBeNull();
  }

  async #expectSound(point: string, scenario: CrashScenario, mark: string): Promise<void> {
    const { clusters, leftovers, starts } = this.#world;
    const rows = await this.#status();
    if (scenario.after === undefined) {
      expect(rows, point).toEqual([]);
      expect(leftovers(), point).toEqual([]);
    } else {
      expect(rows, point).toMatchObject([{ name: "c", ...scenario.after }]);
      expect(clusters(), point).toBe(1);
    }
    expect(await starts(mark), `${point}: how many ranks started`).toBe(scenario.ranks);
  }
}
