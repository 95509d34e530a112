import { describe, expect, test } from "vitest";
import { announceSeed, seededRandom } from "./support/random.ts";
import { playScenario, type Run } from "../support/failover/run.ts";
import { samplePairs } from "../support/failover/sample.ts";
import { scenarios } from "../support/failover/scenarios.ts";

/** How many pairs of deaths are tried, e.g. 2000. */
const PAIRS = Number(process.env["SKY_CRASH_PAIRS"] ?? 50);
const SEED = announceSeed("SKY_CRASH_SEED");
const LIMIT_MS = 3_600_000;

function told(name: string, { deaths, violations }: Run): string {
  return `${name}; died at ${deaths.join(", then ")}:\n  ${violations.join("\n  ")}`;
}

describe.each(Object.entries(scenarios))("%s", (name, scenario) => {
  test("holds when nothing dies, and when the server dies at any one point", { timeout: LIMIT_MS }, async () => {
    const clean = await playScenario(scenario);
    expect(clean.violations).toEqual([]);
    expect(clean.points.length).toBeGreaterThan(20);
    const broken: string[] = [];
    for (let point = 0; point < clean.points.length; point++) {
      const run = await playScenario(scenario, { deaths: [point] });
      if (run.violations.length > 0) broken.push(told(name, run));
    }
    expect(broken).toEqual([]);
  });
});

test(`holds when the server dies twice: ${PAIRS} pairs of seed ${SEED}`, { timeout: LIMIT_MS }, async () => {
  const broken: string[] = [];
  const startedAt = performance.now();
  for (const { name, deaths } of await samplePairs(PAIRS, seededRandom(SEED))) {
    const scenario = scenarios[name];
    if (scenario === undefined) continue;
    const run = await playScenario(scenario, { deaths });
    if (run.violations.length > 0) broken.push(`${deaths.join("+")} of ${told(name, run)}`);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  process.stdout.write(`${PAIRS} pairs, seed ${SEED}: ${broken.length} broken, ${seconds.toFixed(1)} s\n`);
  expect(broken).toEqual([]);
});

/**
 * Effects that the suite must miss when their writes to the journal are left out. The others are harmless to repeat: what they do is
 * idempotent under their token, and they decide nothing.
 */
const DECIDING: readonly (readonly [string, string])[] = [
  ["launch; only the third zone has room", "plan"],
  ["launch; two of three nodes come up in the first zone, one in the second", "look.0"],
  ["launch; no room anywhere", "run-instances.0"],
  ["down", "down.begin"],
  ["stop; every second answer is lost", "stop.progress"],
];

test.each(DECIDING)(
  "%s: notices that %s is not written to the journal",
  { timeout: LIMIT_MS },
  async (name, effect) => {
    const scenario = scenarios[name];
    if (scenario === undefined) throw new Error(`There is no scenario ${name}.`);
    const { points } = await playScenario(scenario, { unjournaled: effect });
    for (let point = 0; point < points.length; point++) {
      const { violations } = await playScenario(scenario, { unjournaled: effect, deaths: [point] });
      if (violations.length > 0) return;
    }
    throw new Error(`The suite does not notice that ${effect} is not written to the journal.`);
  },
);
