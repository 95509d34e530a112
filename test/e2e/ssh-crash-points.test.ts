import { afterAll, beforeAll, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { createSshPool, type SshPool } from "../fleet/ssh-pool.ts";
import { countMarks, CrashPoints, crashScenarios } from "./support/crash-points.ts";
import { announceSeed } from "./support/random.ts";

const LEDGER = "/var/tmp/ledger";

describeWithFleet("kill -9 of the server at every failpoint, on machines that are reached by SSH", () => {
  const seed = announceSeed("SKY_CRASH_SEED");
  let pool: SshPool;
  let crashes: CrashPoints;

  const scenarios = crashScenarios(["launch", "exec", "down"], {
    place: ["--infra", "ssh/rack"],
    job: (mark) => `echo ${mark} >> ${LEDGER}; echo ran ${mark}`,
  });

  beforeAll(async () => {
    pool = await createSshPool([{ name: "n0" }, { name: "n1" }]);
    const { sandbox, hosts } = pool;
    await sandbox.startServer();
    await sandbox.sky(["ssh", "up"]);
    const clusters = (): string[] =>
      hosts.flatMap((host) => host.list("/home/dev/.sky/nodes").filter((name) => !name.startsWith(".")));
    const agents = (): string[] =>
      hosts.flatMap((host) => {
        const running = host.processes().map(({ argv }) => argv.join(" "));
        return running.filter((words) => words.includes("agent.cjs daemon")).map((words) => `${host.name}: ${words}`);
      });
    crashes = new CrashPoints(
      {
        sandbox,
        starts: (mark) => {
          const ledgers = hosts.filter((host) => host.exists(LEDGER)).map((host) => host.readFile(LEDGER));
          return countMarks(ledgers, mark);
        },
        clusters: () => new Set(clusters()).size,
        leftovers: () => [...clusters(), ...agents()],
      },
      { seed, sample: 3 },
    );
  });

  afterAll(async () => {
    await pool?.dispose();
  });

  it.each(scenarios)("$operation", { timeout: 3_600_000 }, (scenario) => crashes.run(scenario));

  it("nothing is left of it all", () => crashes.finish());
});
