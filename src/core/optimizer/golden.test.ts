import { copyFileSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestServer, type TestServer } from "../../../test/fakes/operation-context.ts";
import { recordedCloud, type PlacementCase } from "../../../test/fakes/recorded-cloud.ts";
import { createAwsCloud } from "../../clouds/aws/index.ts";
import { SkyError } from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";
import type { Cloud, CloudRegistry } from "../ports/cloud.ts";
import { parseTaskValue } from "../task/parse.ts";
import type { Task } from "../task/task.ts";
import type { RankedOffer } from "./candidates.ts";
import { catalogFacts } from "./catalog-facts.ts";
import { infraText } from "./place-text.ts";
import { placeDag, type DagPlacement } from "./placement.ts";
import { planLines } from "./plan-lines.ts";

const fixtures = join(import.meta.dirname, "../../../test/fixtures");
const cases = readdirSync(join(fixtures, "optimizer"))
  .filter((name) => name.endsWith(".json"))
  .map((name) => JSON.parse(readFileSync(join(fixtures, "optimizer", name), "utf8")) as PlacementCase);

let server: TestServer;
let current: CloudRegistry;

beforeAll(async () => {
  const clouds: CloudRegistry = { names: () => current.names(), load: (name) => current.load(name) };
  server = await createTestServer({ clouds: () => clouds, agentBundle: "none" });
  const directory = join(server.home, ".sky", "catalogs", "v8", "aws");
  mkdirSync(directory, { recursive: true });
  copyFileSync(join(fixtures, "catalog", "aws-az-mapping.csv"), join(directory, "az_mappings-00000000.csv"));
});

afterAll(() => server.close());

type Context = Awaited<ReturnType<TestServer["context"]>>;

interface Outcome {
  readonly placement?: DagPlacement;
  readonly error?: SkyError;
  readonly lines: readonly string[];
}

async function run(one: PlacementCase): Promise<Outcome> {
  const context = await server.context(one.id);
  try {
    const tasks = one.input.tasks.flatMap((task) => parse(task, context));
    current = registryOf(one, tasks, context);
    const placement = await placeDag({ tasks, edges: one.input.edges ?? [] }, context, {
      minimize: one.input.minimize,
      blocked: () => (one.input.blocked ?? []).map((block) => ({ block, reason: "blocked" })),
      hoursOf: (_, offer) => hoursAt(one, offer),
    });
    return { placement, lines: [...context.log.lines, ...planLines(placement).join("\n").split("\n")] };
  } catch (error) {
    if (!(error instanceof SkyError)) throw error;
    return { error, lines: context.log.lines };
  }
}

function parse(task: Readonly<Record<string, unknown>>, context: Context): readonly Task[] {
  const facts = catalogFacts(context.catalogs);
  return parseTaskValue(task, { side: "server", facts, warn: (line) => context.log.line(line) }).tasks;
}

function hoursAt(one: PlacementCase, { offer }: RankedOffer): number {
  const hours = one.input.runtime_hours;
  const gpus = Object.entries(offer.resources.accelerators).map((pair) => pair.join(":"));
  return hours?.[gpus.join()] ?? hours?.["default"] ?? 1;
}

/** AWS is the real adapter, apart from its credentials. */
function registryOf(one: PlacementCase, tasks: readonly Task[], context: OperationContext): CloudRegistry {
  const clouds: Record<string, () => Cloud> = {
    aws: () => ({
      ...createAwsCloud({ home: server.home, env: {}, catalogs: context.catalogs }),
      checksOverNetwork: false,
      check: () => Promise.resolve({ enabled: ["compute"], reasons: [], details: [] }),
    }),
    gcp: () => recordedCloud({ name: "gcp", displayName: "GCP" }, one, tasks),
    kubernetes: () => recordedCloud({ name: "kubernetes", displayName: "Kubernetes" }, one, tasks),
  };
  return {
    names: () => one.input.enabled,
    load: (name) => {
      const make = clouds[name];
      return make === undefined ? Promise.reject(new Error(`no cloud ${name}`)) : Promise.resolve(make());
    },
  };
}

const plain = (text: string): string =>
  // oxlint-disable-next-line no-control-regex -- escape sequences are what is removed
  text.replace(/\u001b\[[0-9;]*m/g, "");

/** Lines with what is not significant, and what differs on purpose (docs/DIFFERENCES.md), taken out. */
function comparable(text: string, one: PlacementCase): readonly string[] {
  const lines = plain(text)
    .replace(/\n+$/, "")
    .replace(/\nHint: Check Per Resource Hint\n[\s\S]*$/, "")
    .replaceAll("$5.0/hr", "$5/hr")
    .replace("satisfy L4:0. ", "satisfy L4:0.5. ")
    .split("\n")
    .map((line) =>
      line.replace(/ among: (.*)\.$/, (_, names: string) => ` among: ${names.split(", ").sort().join()}.`),
    );
  return isSet(one) ? sortEquals(lines) : lines;
}

function isSet(one: PlacementCase): boolean {
  return one.expect.candidates?.some(({ order }) => order.includes("set")) ?? false;
}

/** Rows of a table with the same cost are in no order when the request is a set. */
function sortEquals(lines: readonly string[]): readonly string[] {
  const costOf = (line: string): number => Number(/^ \w+ \(.* (\d+\.\d\d) +(?:✔ +)?$/.exec(line)?.[1] ?? NaN);
  return lines.toSorted((a, b) => (costOf(a) === costOf(b) ? (a < b ? -1 : 1) : 0));
}

test("the recording is complete", () => {
  expect(cases).toHaveLength(69);
});

describe.each(cases)("$id: $what", (one) => {
  const { expect: expected } = one;

  test("what is printed", async () => {
    const { lines, error } = await run(one);
    expect(comparable(lines.join("\n"), one)).toEqual(comparable(expected.log, one));
    expect(error?.wireName).toBe(expected.error_type);
    expect(comparable(error?.message ?? "", one)).toEqual(comparable(expected.error_message ?? "", one));
  });

  test.runIf(expected.status === "ok")("the plan and the order of launch", async () => {
    const { placement } = await run(one);
    const plan = placement?.tasks.map(({ chosen: { offer, displayName } }) => ({
      infra: infraText(displayName, offer),
      instance_type: offer.instanceType,
      use_spot: offer.useSpot,
      hourly_cost_per_node: offer.priceUsdPerHour,
    }));
    expect(plan).toMatchObject(
      (expected.plan ?? []).map(({ infra, instance_type, use_spot, hourly_cost_per_node }) => ({
        infra,
        instance_type,
        use_spot,
        hourly_cost_per_node,
      })),
    );
    for (const [at, { count, first: recorded, order }] of (expected.candidates ?? []).entries()) {
      if (one.input.enabled.includes("gcp")) continue;
      const limit = Number(one.input.tasks[at]?.resources?.["max_hourly_cost"] ?? Infinity);
      const first = recorded.filter(([, price]) => (price ?? 0) <= limit);
      const offers = placement?.tasks[at]?.answers.answers.flatMap((answer) => answer.offers) ?? [];
      const mine = offers.map(({ offer, displayName }): [string, number] => [
        `${infraText(displayName, offer)} ${offer.instanceType}${offer.useSpot ? "[Spot]" : ""}`,
        offer.priceUsdPerHour ?? NaN,
      ]);
      if (order.includes("sorted")) mine.sort((a, b) => a[1] - b[1] || (a[0] < b[0] ? -1 : 1));
      expect(mine).toHaveLength(limit === Infinity ? count : first.length);
      expect(mine.slice(0, first.length)).toEqual(first);
    }
  });

  test.runIf(expected.log_ansi !== undefined)("the colours", async () => {
    const { lines } = await run(one);
    const reordered = (text: string): string => text.replace(/ among: .*\./, "").replace(/\n+$/, "");
    expect(reordered(lines.join("\n"))).toBe(reordered(expected.log_ansi ?? ""));
  });
});
