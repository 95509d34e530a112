import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { SkyClient } from "../../src/client/sdk.ts";
import { Sandbox } from "./support/sandbox.ts";
import { waitFor } from "./support/wait-for.ts";

interface Cluster {
  readonly name: string;
  readonly status: string;
  readonly cost_per_hour: number;
  readonly total_cost: number;
}

let sandbox: Sandbox;

beforeAll(async () => {
  sandbox = await Sandbox.create();
  mkdirSync(join(sandbox.home, ".sky"));
  // Dear enough that a budget is spent while somebody waits for it.
  const settings = "types: {fake.dear: {cpus: 2, memory_gib: 8, usd_per_hour: 360, family: standard}}\n";
  writeFileSync(join(sandbox.home, ".sky/fake.yaml"), settings);
  await sandbox.startServer();
});

afterAll(() => sandbox?.dispose());

async function json<T>(...args: string[]): Promise<T> {
  const { stdout, stderr } = await sandbox.sky([...args, "-o", "json"]);
  try {
    return JSON.parse(stdout) as T;
  } catch (error) {
    throw new Error(`${args.join(" ")}: ${stdout}${stderr}`, { cause: error });
  }
}

const clusterOf = async (name: string): Promise<Cluster | undefined> =>
  (await json<readonly Cluster[]>("status")).find((one) => one.name === name);

it("costs survive a server that is killed, and a budget stops the clusters within a minute", async () => {
  const launched = await sandbox.sky(["launch", "-y", "-c", "c1", "--infra", "fake/east", "echo hi"]);
  expect(launched.exitCode, launched.stderr).toBe(0);
  const before = await clusterOf("c1");
  expect(before?.cost_per_hour).toBeCloseTo(360 + (256 * 0.08) / 730 + 0.005, 6);
  await sandbox.killServer();
  await sandbox.startServer();
  const after = await clusterOf("c1");
  expect(after?.total_cost).toBeGreaterThan(before?.total_cost ?? Infinity);

  const limit = (after?.total_cost ?? 0) + 0.5;
  const set = await sandbox.sky([
    "budget",
    "set",
    "all",
    "--everything",
    "--per",
    "total",
    "--action",
    "stop",
    "--limit",
    String(limit),
  ]);
  expect(set.exitCode, set.stderr).toBe(0);
  // Five seconds until the money is spent; then at most a minute.
  await waitFor("the cluster to stop", async () => (await clusterOf("c1"))?.status === "STOPPED", {
    timeoutMs: 66_000,
  });
  const stopped = await clusterOf("c1");
  expect(stopped?.cost_per_hour).toBeCloseTo((256 * 0.08) / 730, 6);

  const refused = await sandbox.sky(["launch", "-y", "-c", "c2", "--infra", "fake", "echo no"]);
  expect([refused.exitCode, refused.stderr]).toEqual([
    1,
    expect.stringContaining("Budget 'all' (everything) is used up"),
  ]);
  const local = await sandbox.sky(["launch", "-y", "-c", "free", "--infra", "local", "echo free"]);
  expect(local.exitCode, local.stderr).toBe(0);

  const [report] = await json<readonly { readonly total_cost: number; readonly cost_details: object }[]>(
    "cost-report",
    "--user",
    "nobody",
  );
  expect(report).toBeUndefined();
  const sums = await json<readonly { readonly key: string; readonly total_cost: number }[]>(
    "cost-report",
    "--by",
    "infra",
  );
  expect(sums[0]).toMatchObject({ key: "Fake (east)" });
  expect(sums[0]?.total_cost).toBeGreaterThan(limit);
});

it("a user limits themselves, and nobody else; the SDK says so as the command does", async () => {
  writeFileSync(join(sandbox.home, ".sky/config.yaml"), "rbac: {default_role: user}\n");
  const env = sandbox.env({ SKYPILOT_USER_ID: "feed1234", USER: "mallory", LOGNAME: "mallory" });
  await using sky = new SkyClient({ endpoint: sandbox.url, env, home: sandbox.home });
  const set = await sky.budgets.set("mine", { limitUsd: 5, per: "day", action: "down" });
  expect(set).toMatchObject({ name: "mine", scope: "user mallory", period: "day", action: "down", limit_usd: 5 });
  const everything = sky.budgets.set("mine", { scope: { kind: "all" } });
  await expect(everything).rejects.toMatchObject({ message: "Only admins may set a budget of everything." });
  await expect(sky.budgets.delete("all")).rejects.toThrow("Budget 'all' was set by");
  expect((await sky.budgets.ls()).map(({ name }) => name)).toEqual(["all", "mine"]);
  await sky.budgets.delete("mine");
  const denied = await sandbox.sky(["budget", "set", "x", "--limit", "1", "--everything"], { env });
  expect([denied.exitCode, denied.stderr]).toEqual([
    1,
    expect.stringContaining("Only admins may set a budget of everything."),
  ]);
  // Whoever the server runs as is an admin, whatever the config says.
  const owner = await sandbox.sky(["budget", "delete", "-y", "all"]);
  expect(owner.exitCode, owner.stderr).toBe(0);
});
