import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PlacementCase } from "../fakes/recorded-cloud.ts";
import { findMoto, Moto } from "../support/aws/moto.ts";
import { writeProfile } from "../support/aws/profile.ts";
import { installZoneNames } from "../support/catalogs.ts";
import { plainText } from "./support/plain-text.ts";
import { describeWithReference } from "./support/reference.ts";
import { OfficialClient, repoRoot, Sandbox } from "./support/sandbox.ts";

/** The official client takes ten seconds for each; the others are run without it by src/core/optimizer/golden.test.ts. */
const CASES = ["012-a100-1", "016-t4", "033-ordered-skip", "034-spot-gpu", "045-nodes", "048-max-cost-miss"];

const fixtures = join(repoRoot, "test/fixtures/optimizer");

function recorded(id: string): PlacementCase {
  const name = readdirSync(fixtures).find((one) => one === `${id}.json`) ?? "";
  return JSON.parse(readFileSync(join(fixtures, name), "utf8")) as PlacementCase;
}

/** Without what is not significant: the order of names, and the hint that is empty in the original. */
function comparable(text: string): readonly string[] {
  return plainText(text)
    .replace(/\nHint: Check Per Resource Hint\n[\s\S]*$/u, "")
    .replace(/ among: (.*)\./gu, (_, names: string) => ` among: ${names.split(", ").sort().join()}`)
    .replaceAll("$5.0/hr", "$5/hr")
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line !== "");
}

describe.skipIf(findMoto() === undefined)("plans on AWS (moto)", () => {
  let sandbox: Sandbox;
  let moto: Moto;

  beforeAll(async () => {
    sandbox = await Sandbox.create();
    moto = await Moto.start();
    installZoneNames(sandbox.home);
    writeProfile(sandbox.home, moto.url);
    await sandbox.startServer();
    await sandbox.sky(["check", "aws"]);
  });

  afterAll(async () => {
    await sandbox?.dispose();
    moto?.stop();
  });

  describeWithReference("the official client on our server prints what it prints on its own", (reference) => {
    it.each(CASES.map((id) => [id] as const))("%s", async (id) => {
      const { input, expect: expected } = recorded(id);
      sandbox.write(`${id}.yaml`, JSON.stringify(input.tasks[0]));
      const client = new OfficialClient(sandbox, reference, { remote: false });
      const { stdout, stderr, exitCode } = await client.sky(["launch", "-y", "--dryrun", "-c", "c", `${id}.yaml`]);
      const lines = comparable(stdout + stderr);
      const wanted = [...comparable(expected.log), ...comparable(expected.error_message ?? "")];
      expect(lines.filter((line) => wanted.some((one) => line.endsWith(one)))).toHaveLength(wanted.length);
      expect(lines.join("\n")).toContain(comparable(expected.log).join("\n"));
      expect(exitCode).toBe(expected.status === "ok" ? 0 : 1);
      if (expected.status === "ok") expect(lines).toContain("Dryrun finished.");
    });

    it("sky.optimize gives the plan as data", async () => {
      const client = new OfficialClient(sandbox, reference, { remote: false });
      const { stdout, stderr } = await client.python(`
import json, sky
with sky.Dag() as dag:
    task = sky.Task(run='echo hi')
    task.set_resources(sky.Resources(accelerators='T4:1'))
plan = sky.get(sky.optimize(dag))
print(json.dumps([plan['tasks'][0]['chosen']['instance_type'], plan['tasks'][0]['chosen']['usd_per_hour']]))
`);
      expect(stdout.trim().split("\n").at(-1), stderr).toBe('["g4dn.xlarge", 0.526]');
    });
  });

  it("our client says what all of it costs, and why each place was not taken", async () => {
    sandbox.write("t.yaml", "resources: {accelerators: 'H200:8', use_spot: true, autostop: 10}\nrun: echo\n");
    const { stdout, exitCode } = await sandbox.sky(["launch", "--dryrun", "--explain", "t.yaml"]);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(
      /^Cost: \$\d+\.\d\d\/hr: instance \$\d+\.\d\d, .*public IPv4 \$0\.0050 \(spot prices of \d{4}-\d\d-\d\d\)$/mu,
    );
    expect(stdout).toMatch(/^Autostop after 10 idle minutes saves \$/mu);
    expect(stdout).toMatch(/^1 +AWS \([a-z0-9-]+\) +p5e?n?\.48xlarge\[Spot\] .*chosen/mu);
    expect(stdout).toMatch(
      /^ {2}AWS: p5\w+\.48xlarge in [a-z0-9-]+: (?:spot price unknown|the region does not have the type)$/mu,
    );
    expect(stdout).toContain("  Local: is used only when it is asked for: --infra local");
  });

  it("an infeasible request names the wish that stands in the way", async () => {
    const { stderr, stdout, exitCode } = await sandbox.sky([
      "launch",
      "--dryrun",
      "--gpus",
      "T4:1",
      "--cpus",
      "128+",
      "echo",
    ]);
    expect(exitCode).toBe(1);
    expect(stdout).toContain("No resource satisfying <Cloud>(cpus=128+, {'T4': 1}) on AWS.");
    expect(stderr).toContain("without cpus it fits g4dn.xlarge on AWS (us-east-1) at $0.53/hr");
  });
});
