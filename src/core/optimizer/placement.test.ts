import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createTestServer, type TestServer } from "../../../test/fakes/operation-context.ts";
import type { Cloud, CloudRegistry, Offer } from "../ports/cloud.ts";
import { parseTaskYaml } from "../task/parse.ts";
import { placeDag, type DagPlacement, type PlaceOptions } from "./placement.ts";
import { planLines } from "./plan-lines.ts";
import { toPlan } from "./plan-object.ts";

let server: TestServer;
let clouds: Readonly<Record<string, Cloud>> = {};

beforeAll(async () => {
  const registry: CloudRegistry = {
    names: () => Object.keys(clouds),
    load: (name) => {
      const cloud = clouds[name];
      return cloud === undefined ? Promise.reject(new Error(`no cloud ${name}`)) : Promise.resolve(cloud);
    },
  };
  server = await createTestServer({ clouds: () => registry, agentBundle: "none" });
});

afterAll(() => server.close());

const REFUSED = (): never => {
  throw new Error("Nothing is launched here.");
};

/** A cloud that sells one type in each of its regions. */
function sells(
  name: string,
  prices: Readonly<Record<string, number | null>>,
  more: Partial<Cloud & Offer> = {},
): Cloud {
  return {
    name,
    displayName: name.toUpperCase(),
    wireInfra: (region) => `${name}/${region}`,
    power: "leave",
    maxNameLength: 40,
    ...(more.unnamedUse === undefined ? {} : { unnamedUse: more.unnamedUse }),
    check: () => Promise.resolve({ enabled: ["compute"], reasons: [], details: [] }),
    identity: () => Promise.resolve(null),
    offers: (request) => {
      const tooMany = (request.cpus?.count ?? 0) > 8;
      const offers = Object.entries(prices).map(([region, priceUsdPerHour]) => ({
        cloud: name,
        region,
        zone: null,
        instanceType: `${name}.large`,
        resources: { cpus: 8, memoryGib: 32, accelerators: {} },
        useSpot: request.useSpot,
        priceUsdPerHour,
        ...(more.prepaidNodes === undefined ? {} : { prepaidNodes: more.prepaidNodes }),
      }));
      const rejected = tooMany ? [{ what: `${name}.large`, reason: "8 CPUs" }] : [];
      return Promise.resolve({ offers: tooMany ? [] : offers, rejected, suggestions: [] });
    },
    run: REFUSED,
    query: REFUSED,
    terminate: REFUSED,
    runner: REFUSED,
  };
}

async function place(yaml: string, options: Partial<PlaceOptions> = {}): Promise<DagPlacement> {
  const { tasks } = parseTaskYaml(yaml, { side: "server" });
  const edges = tasks.flatMap((_, at): [number, number][] => (at === 0 ? [] : [[at - 1, at]]));
  const context = await server.context(crypto.randomUUID());
  return placeDag({ tasks, edges }, context, { minimize: "cost", ...options });
}

const chosen = (placement: DagPlacement): readonly string[] =>
  placement.tasks.map(({ chosen: { offer } }) => `${offer.cloud}/${offer.region}`);

describe("data between tasks", () => {
  const PIPELINE = (gigabytes: number): string =>
    `name: p\n---\nname: a\nresources: {infra: aws}\noutputs: {out: ${gigabytes}}\nrun: x\n---\nname: b\nrun: x\n`;

  beforeEach(() => {
    clouds = { aws: sells("aws", { east: 2 }), gcp: sells("gcp", { west: 1 }) };
  });

  test("keeps a task where it is while moving costs more, and the plan says so", async () => {
    const placement = await place(PIPELINE(100));
    expect(chosen(placement)).toEqual(["aws/east", "aws/east"]);
    const plan = toPlan(placement, { explain: true, flags: {}, budgets: [] });
    expect(plan.tasks[1]?.candidates?.map(({ infra, rank, note }) => [rank, infra, note])).toEqual([
      [1, "GCP (west)", "cheaper, but moving the data there costs more"],
      [2, "AWS (east)", "chosen: with the data that it would have to move, another place costs more"],
    ]);
    expect(plan.tasks[0]?.rejected).toEqual([{ infra: "GCP", what: "", reason: "the task asks for another infra" }]);
    expect(plan.egress).toEqual([]);
  });

  test("what is moved is in a table of its own", async () => {
    const placement = await place(PIPELINE(10));
    expect(chosen(placement)).toEqual(["aws/east", "gcp/west"]);
    const lines = planLines(placement);
    expect(lines.slice(lines.indexOf("Egress plan:"), lines.indexOf("Egress plan:") + 5)).toEqual([
      "Egress plan:",
      "--------------------------------------------",
      " SOURCE    TARGET    SIZE (GB)   COST ($)   ",
      "--------------------------------------------",
      " a (AWS)   b (GCP)   10          0.81       ",
    ]);
    expect(toPlan(placement, { explain: false, flags: {}, budgets: [] }).egress).toMatchObject([
      { source: "a (AWS)", target: "b (GCP)", gigabytes: 10, seconds: 8 },
    ]);
  });

  test("inputs in a bucket count, too", async () => {
    const yaml = "name: t\ninputs: {'s3://data': 500}\nrun: x\n";
    expect(chosen(await place(yaml))).toEqual(["aws/east"]);
  });
});

describe("prices", () => {
  test("an unknown price comes after every known one", async () => {
    clouds = { aws: sells("aws", { east: null, west: 9 }) };
    const placement = await place("run: x\n");
    expect(chosen(placement)).toEqual(["aws/west"]);
    expect(placement.tasks[0]?.ranking.offers.map(({ offer }) => offer.region)).toEqual(["west", "east"]);
  });

  test("nodes that a reservation has paid for cost nothing, as long as there are some", async () => {
    clouds = { aws: sells("aws", { east: 5 }, { prepaidNodes: 2 }), gcp: sells("gcp", { west: 3 }) };
    expect(chosen(await place("num_nodes: 4\nrun: x\n"))).toEqual(["aws/east"]);
    expect(chosen(await place("num_nodes: 8\nrun: x\n"))).toEqual(["gcp/west"]);
  });

  test("run times that are known decide when time counts", async () => {
    clouds = { aws: sells("aws", { east: 5 }), gcp: sells("gcp", { west: 3 }) };
    const hoursOf: PlaceOptions["hoursOf"] = (_, { offer }) => (offer.cloud === "aws" ? 1 : 4);
    expect(chosen(await place("run: x\n", { minimize: "time", hoursOf }))).toEqual(["aws/east"]);
    expect(chosen(await place("run: x\n", { minimize: "time" }))).toEqual(["gcp/west"]);
  });
});

describe("what is left out, with its reason", () => {
  test("places that are blocked", async () => {
    clouds = { aws: sells("aws", { east: 1, west: 2 }) };
    const blocked = [{ block: { cloud: "aws", region: "east" }, reason: "no capacity 4 min ago" }];
    const placement = await place("run: x\n", { blocked: () => blocked });
    expect(chosen(placement)).toEqual(["aws/west"]);
    expect(placement.tasks[0]?.ranking.rejected).toMatchObject([
      { what: "east aws.large", reason: "no capacity 4 min ago" },
    ]);
  });

  test("places above max_hourly_cost", async () => {
    clouds = { aws: sells("aws", { east: 1, west: 2 }) };
    const { tasks } = await place("resources: {max_hourly_cost: 1.5}\nrun: x\n");
    expect(tasks[0]?.ranking.rejected).toMatchObject([{ reason: "costs $2/hr, more than max_hourly_cost ($1.5/hr)" }]);
  });

  test("clouds that are used only alone, or only when they are named", async () => {
    const machine = sells("machine", { here: 0 }, { unnamedUse: "alone" });
    const toy = sells("toy", { box: 0 }, { unnamedUse: "never" });
    clouds = { machine, toy };
    expect(chosen(await place("run: x\n"))).toEqual(["machine/here"]);
    clouds = { machine, toy, aws: sells("aws", { east: 1 }) };
    const placement = await place("run: x\n");
    expect(chosen(placement)).toEqual(["aws/east"]);
    expect(placement.tasks[0]?.ranking.rejected.map(({ displayName, reason }) => `${displayName} ${reason}`)).toEqual([
      "MACHINE is used only when it is asked for: --infra machine",
      "TOY is used only when it is asked for: --infra toy",
    ]);
  });

  test("an alternative on a cloud that is off is skipped with a warning", async () => {
    clouds = { aws: sells("aws", { east: 1 }) };
    const placement = await place("name: t\nresources: {any_of: [{infra: gcp}, {infra: aws}]}\nrun: x\n");
    expect(chosen(placement)).toEqual(["aws/east"]);
    expect(placement.notices.join("\n")).toContain("Task 't' requires gcp which is not enabled.");
  });

  test("a wish without which the task would fit is named", async () => {
    clouds = { aws: sells("aws", { east: 1, west: 2 }) };
    await expect(place("resources: {cpus: 16+}\nnum_nodes: 2\nrun: x\n")).rejects.toThrow(
      "Hint: Check Per Resource Hint\n      <Cloud>(cpus=16+): without cpus it fits aws.large on AWS (east) at $2.00/hr\n      AWS: 8 CPUs",
    );
  });
});
