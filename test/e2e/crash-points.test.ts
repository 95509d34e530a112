import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, it } from "vitest";
import { countMarks, CrashPoints, crashScenarios } from "./support/crash-points.ts";
import { announceSeed } from "./support/random.ts";
import { Sandbox } from "./support/sandbox.ts";

describe("kill -9 at every failpoint of an operation", () => {
  const seed = announceSeed("SKY_CRASH_SEED");
  let sandbox: Sandbox;
  let ledger: string;
  let crashes: CrashPoints;

  const scenarios = crashScenarios(["launch", "exec", "stop", "start", "autostop", "down"], {
    place: [],
    job: (mark) => `echo ${mark} >> ${ledger}; echo ran ${mark}`,
  });

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
        starts: (mark) => countMarks([readFileSync(ledger, "utf8")], mark),
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
