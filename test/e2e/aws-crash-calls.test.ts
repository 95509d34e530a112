import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findMoto } from "../support/aws/moto.ts";
import { AwsStages } from "../support/failover/aws-stage.ts";
import { awsScenarios } from "../support/failover/aws-scenarios.ts";
import { playScenario, type Run } from "../support/failover/run.ts";
import { samplePairs } from "../support/failover/sample.ts";
import { announceSeed, seededRandom } from "./support/random.ts";

/** How many pairs of deaths are tried, e.g. 1000. */
const PAIRS = Number(process.env["SKY_AWS_CRASH_PAIRS"] ?? 20);
/** Of how many points one is tried; the first is random. */
const STEP = process.env["SKY_CRASH_POINTS"] === "all" ? 1 : 8;
const SEED = announceSeed("SKY_CRASH_SEED");
const LIMIT_MS = 3_600_000;

function told(name: string, { deaths, violations }: Run): string {
  return `${name}; died at ${deaths.join(", then ")}:\n  ${violations.join("\n  ")}`;
}

describe.skipIf(findMoto() === undefined)("a server that dies between its calls to AWS", () => {
  const random = seededRandom(SEED);
  let stages: AwsStages;
  beforeAll(async () => {
    stages = await AwsStages.open();
  }, 60_000);
  afterAll(() => stages.close());

  test.each(Object.entries(awsScenarios))("%s", { timeout: LIMIT_MS }, async (name, scenario) => {
    const clean = await playScenario(scenario, {}, stages.openStage);
    expect(clean.violations).toEqual([]);
    expect(clean.points.filter((point) => point.startsWith("ec2:")).length).toBeGreaterThan(1);
    const broken: string[] = [];
    let count = 0;
    for (let point = Math.floor(random() * STEP); point < clean.points.length; point += STEP) {
      const run = await playScenario(scenario, { deaths: [point] }, stages.openStage);
      count += 1;
      if (run.violations.length > 0) broken.push(told(name, run));
    }
    process.stdout.write(`${name}: ${count} of ${clean.points.length} points, ${broken.length} broken\n`);
    expect(broken).toEqual([]);
  });

  test(`that dies twice: ${PAIRS} pairs of seed ${SEED}`, { timeout: LIMIT_MS }, async () => {
    const broken: string[] = [];
    const on = { scenarios: awsScenarios, openStage: stages.openStage };
    const startedAt = performance.now();
    for (const { name, deaths } of await samplePairs(PAIRS, random, on)) {
      const scenario = awsScenarios[name];
      if (scenario === undefined) continue;
      const run = await playScenario(scenario, { deaths }, stages.openStage);
      if (run.violations.length > 0) broken.push(`${deaths.join("+")} of ${told(name, run)}`);
    }
    const seconds = (performance.now() - startedAt) / 1000;
    process.stdout.write(`${PAIRS} pairs, seed ${SEED}: ${broken.length} broken, ${seconds.toFixed(1)} s\n`);
    expect(broken).toEqual([]);
  });
});
