import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, it } from "vitest";
import { CrashPoints, type CrashScenario } from "./support/crash-points.ts";
import { announceSeed } from "./support/random.ts";
import { Sandbox } from "./support/sandbox.ts";

const LAUNCH = ["launch", "-y", "-c", "c", "--num-nodes", "2"];

describe("kill -9 at every failpoint of an operation", () => {
  const seed = announceSeed("SKY_CRASH_SEED");
  let sandbox: Sandbox;
  let ledger: string;
  let crashes: CrashPoints;

  const job = (mark: string): string => `echo ${mark} >> ${ledger}; echo ran ${mark}`;
  const scenarios: readonly CrashScenario[] = [
    {
      operation: "launch",
      before: [],
      command: (mark) => [...LAUNCH, job(mark)],
      after: { status: "UP", nodes: 2 },
      ranks: 2,
    },
    {
      operation: "exec",
      before: [LAUNCH],
      command: (mark) => ["exec", "c", job(mark)],
      after: { status: "UP" },
      ranks: 1,
    },
    {
      operation: "stop",
      before: [LAUNCH],
      command: () => ["stop", "-y", "c"],
      after: { status: "STOPPED", nodes: 2 },
      ranks: 0,
    },
    {
      operation: "start",
      before: [LAUNCH, ["stop", "-y", "c"]],
      command: () => ["start", "-y", "c"],
      after: { status: "UP", nodes: 2 },
      ranks: 0,
    },
    {
      operation: "autostop",
      before: [LAUNCH],
      command: () => ["autostop", "-y", "-i", "50", "c"],
      after: { status: "UP", autostop: 50 },
      ranks: 0,
    },
    { operation: "down", before: [LAUNCH], command: () => ["down", "-y", "c"], after: undefined, ranks: 0 },
  ];

  beforeAll(async () => {
    sandbox = await Sandbox.create();
    ledger = join(sandbox.root, "ledger");
    writeFileSync(ledger, "");
    const clusters = (): string[] => {
      const local = join(sandbox.home, ".sky/local");
      return existsSync(local) ? readdirSync(local) : [];
    };
    const strays = (): string[] => {
      const server = new Set(sandbox.serverProcesses().map(({ pid }) => pid));
      const all = sandbox.processes().filter(({ pid }) => !server.has(pid));
      return all.map(({ pid, argv }) => `${pid} ${argv.join(" ")}`);
    };
    crashes = new CrashPoints(
      {
        sandbox,
        starts: (mark) =>
          readFileSync(ledger, "utf8")
            .split("\n")
            .filter((line) => line === mark).length,
        clusters: () => clusters().length,
        leftovers: () => [...clusters(), ...strays()],
      },
      { seed, sample: 8 },
    );
  });

  afterAll(async () => {
    await sandbox?.dispose();
  });

  it.each(scenarios)("$operation", { timeout: 900_000 }, (scenario) => crashes.run(scenario));

  it("nothing is left of it all", () => crashes.finish());
});
