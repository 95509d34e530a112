import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { databaseKinds, POSTGRES_START_MS } from "../../../test/fakes/databases.ts";
import { createFakeWorld, type FakeWorld } from "../../../test/fakes/fake-world.ts";
import { listCharges } from "../../db/queries/cluster-charges.ts";
import type { Clock } from "../../shared/clock.ts";
import { costReportOperation } from "../clusters/cost-report.ts";
import { launchOperation } from "../clusters/launch.ts";
import { startOperation } from "../clusters/start.ts";
import { statusOperation } from "../clusters/status.ts";
import { downOperation, stopOperation } from "../clusters/stop.ts";
import { optimizeOperation } from "../optimizer/operation.ts";
import { enforceBudgets, type BudgetRequest } from "./enforce.ts";
import { budgetDeleteOperation, budgetListOperation, budgetSetOperation } from "./operations.ts";

const HOUR = 3_600_000;
const YAML = "name: hello\nresources:\n  infra: lambda/east\n  labels: {team: red}\nrun: echo hi\n";

const common = { env_vars: {}, entrypoint: "", entrypoint_command: "", using_remote_api_server: false } as const;

describe.each(databaseKinds)("on %s", (kind) => {
  let world: FakeWorld;
  beforeEach(async () => {
    world = await createFakeWorld({ regions: { east: 2, west: 3 } }, { kind });
  }, POSTGRES_START_MS);
  afterEach(() => world.close());

  async function setBudget(budget: Partial<Parameters<(typeof budgetSetOperation)["run"]>[0]>) {
    const body = { ...common, override_skypilot_config: {}, name: "b", ...budget };
    return (await world.run(budgetSetOperation, body as never)).result;
  }

  const launch = (name = "c1") => world.run(launchOperation, { task: YAML, cluster_name: name });
  const budgets = async () => (await world.run(budgetListOperation, {})).result;

  /** One look of the server at the budgets; `inHours` from now on. Requests about `broken` cannot be stored. */
  async function enforce(
    inHours: number,
    broken?: string,
  ): Promise<{ readonly asked: readonly BudgetRequest[]; readonly warned: readonly string[] }> {
    const asked: BudgetRequest[] = [];
    const warned: string[] = [];
    const failed: string[] = [];
    const { context } = await world.run(statusOperation, {});
    const clock: Clock = { ...context.clock, now: () => context.clock.now() + inHours * HOUR };
    await enforceBudgets({
      db: world.database.db,
      clouds: context.clouds,
      clock,
      submit: async (request) => {
        if (request.cluster.name === broken) throw new Error("not now");
        asked.push(request);
      },
      warn: (text) => warned.push(text),
      onError: (name) => failed.push(name),
    });
    expect(failed).toEqual(broken === undefined ? [] : [broken]);
    return { asked, warned };
  }

  test("what nodes cost is charged while they run, and kept after they are gone", async () => {
    await launch();
    const { result: up } = await world.run(statusOperation, { include_costs: true });
    expect(up[0]).toMatchObject({ cost_per_hour: 2 });
    await world.run(stopOperation, { cluster_name: "c1" });
    const { result: stopped } = await world.run(statusOperation, { include_costs: true });
    expect(stopped[0]).toMatchObject({ cost_per_hour: 0 });
    await world.run(startOperation, { cluster_name: "c1" });
    await world.run(downOperation, { cluster_name: "c1" });
    const charges = await listCharges(world.database.db);
    expect(charges.map(({ state }) => state)).toEqual(["running", "stopped", "running"]);
    expect(charges.every(({ ended_at }) => ended_at !== null)).toBe(true);
    const { result: report } = await world.run(costReportOperation, { days: 1 });
    const expected = charges
      .filter(({ state }) => state === "running")
      .reduce((sum, { started_at, ended_at }) => sum + (2 * ((ended_at ?? 0) - started_at)) / HOUR, 0);
    expect(report[0]).toMatchObject({ status: null, labels: { team: "red" } });
    expect(report[0]?.total_cost).toBeCloseTo(expected, 9);
  });

  test("a place that refuses costs nothing", async () => {
    world.cloud.knobs.capacity = 0;
    await expect(launch()).rejects.toThrow("Failed to provision");
    expect(await listCharges(world.database.db)).toEqual([]);
  });

  test("a budget of a user, a workspace, a label or everything counts what is theirs", async () => {
    await launch();
    await setBudget({ name: "mine", limit_usd: 100 });
    await setBudget({ name: "all", scope: "all", limit_usd: 100, period: "total" });
    await setBudget({ name: "red", scope: "label", scope_value: "team=red", limit_usd: 100 });
    await setBudget({ name: "blue", scope: "label", scope_value: "team=blue", limit_usd: 100 });
    await setBudget({ name: "other", scope: "workspace", scope_value: "other", limit_usd: 100 });
    expect((await budgets()).map(({ name, usd_per_hour }) => [name, usd_per_hour])).toEqual([
      ["all", 2],
      ["blue", 0],
      ["mine", 2],
      ["other", 0],
      ["red", 2],
    ]);
    expect((await budgets()).find(({ name }) => name === "all")).toMatchObject({
      scope: "everything",
      projected_usd: null,
    });
  });

  test("reached: it warns once, and asks once for each cluster that it covers", async () => {
    await launch("c1");
    await launch("c2");
    await setBudget({ limit_usd: 4, period: "total", action: "stop" });
    expect(await enforce(0)).toEqual({ asked: [], warned: [] });
    const first = await enforce(2);
    expect(first.warned).toEqual([
      expect.stringMatching(/^Budget 'b' \(user .+\) is used up: \$8\.\d\d of \$4\.00 in total\.$/),
    ]);
    expect(first.asked.map(({ operation, cluster }) => `${operation} ${cluster.name}`).toSorted()).toEqual([
      "stop c1",
      "stop c2",
    ]);
    expect((await world.cluster("c1"))?.last_event).toMatch(/is used up.* The server stops the cluster\.$/);
    const second = await enforce(2);
    expect(second.warned).toEqual([]);
    expect(second.asked.map(({ requestId }) => requestId)).toEqual(first.asked.map(({ requestId }) => requestId));
    await world.run(stopOperation, { cluster_name: "c1" });
    expect((await enforce(2)).asked.map(({ cluster }) => cluster.name)).toEqual(["c2"]);
  });

  test("a cluster that cannot be seen to keeps no other from being", async () => {
    for (const name of ["c1", "c2", "c3"]) await launch(name);
    await setBudget({ limit_usd: 1, action: "down" });
    expect((await enforce(2, "c2")).asked.map(({ cluster }) => cluster.name).toSorted()).toEqual(["c1", "c3"]);
  });

  test("what its cloud cannot stop is not said to be stopped, and not asked for again and again", async () => {
    Object.assign(world.cloud, { whyNoStop: () => "Spot nodes cannot be stopped." });
    await launch();
    await setBudget({ limit_usd: 1, action: "stop" });
    expect((await enforce(2)).asked).toEqual([]);
    expect((await world.cluster("c1"))?.last_event).toMatch(/is used up: [^.]+\.\d\d of [^.]+\.\d\d this month\.$/);
    await setBudget({ action: "down" });
    expect((await enforce(2)).asked.map(({ operation }) => operation)).toEqual(["down"]);
  });

  test("nothing more can be launched or started under a budget that stops, and under one that warns everything", async () => {
    await launch("c1");
    await world.run(stopOperation, { cluster_name: "c1" });
    await setBudget({ limit_usd: 1e-9, period: "total", action: "warn" });
    await launch("c2");
    await setBudget({ action: "down" });
    await expect(launch("c3")).rejects.toMatchObject({
      message: expect.stringContaining("Budget 'b'") as string,
      hint: "To see budgets: sky budget ls. To raise this one: sky budget set b --limit <USD>",
    });
    await expect(world.run(startOperation, { cluster_name: "c1" })).rejects.toThrow("is used up");
    await expect(launch("c1")).rejects.toThrow("is used up");
    expect((await enforce(1)).asked.map(({ operation }) => operation)).toEqual(["down", "down"]);
    await world.run(budgetDeleteOperation, { ...common, override_skypilot_config: {}, name: "b" } as never);
    await launch("c3");
  });

  test("a plan says what it would do to the budgets that it falls under", async () => {
    await setBudget({ limit_usd: 48, period: "total" });
    const { result: plan } = await world.run(optimizeOperation, { dag: YAML });
    expect(plan.usd_per_hour).toBe(2);
    expect(plan.budgets).toMatchObject([{ name: "b", limit_usd: 48, spent_usd: 0, usd_per_hour: 2 }]);
    const { context } = await world.run(statusOperation, {});
    const hours = ((plan.budgets[0]?.reached_at ?? 0) * 1000 - context.clock.now()) / HOUR;
    expect(hours).toBeCloseTo(24, 1);
  });

  test.each([
    [{ name: "-x", limit_usd: 1 }, "The name of a budget is made of"],
    [{}, "Budget 'b' needs a limit."],
    [{ limit_usd: 0 }, "more than 0 USD"],
    [{ limit_usd: 1, scope: "label" as const, scope_value: "team" }, "A label is written key=value, not 'team'."],
  ])("%j is refused", async (budget, message) => {
    await expect(setBudget(budget)).rejects.toThrow(message);
  });
});
