import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findPostgres, startPostgres, type RunningPostgres } from "../support/postgres.ts";
import { plainText } from "./support/plain-text.ts";
import { isE2eRequired } from "./support/reference.ts";
import { Sandbox } from "./support/sandbox.ts";
import { waitFor } from "./support/wait-for.ts";

const bin = findPostgres();
if (bin === undefined && isE2eRequired())
  throw new Error("SKY_REQUIRE_E2E is set, but there is no Postgres to test on.");

describe.skipIf(bin === undefined)("state in Postgres (as root, with Debian's postgresql)", () => {
  let postgres: RunningPostgres;
  let sandbox: Sandbox;
  let ledger: string;

  beforeAll(async () => {
    postgres = await startPostgres(bin ?? "");
    sandbox = await Sandbox.create();
    ledger = join(sandbox.root, "ledger");
  });

  afterAll(async () => {
    await sandbox?.dispose();
    await postgres?.stop();
  });

  const start = (env: Readonly<Record<string, string>> = {}): Promise<void> =>
    sandbox.startServer({ SKYPILOT_DB_CONNECTION_URI: postgres.url, ...env });

  async function sky(...args: readonly string[]): Promise<string> {
    const result = await sandbox.sky(args);
    const text = plainText(result.stdout + result.stderr);
    if (result.exitCode !== 0) throw new Error(`sky ${args.join(" ")}\n${text}`);
    return text;
  }

  it("launches, shows, and keeps nothing in a file of its own", async () => {
    await start();
    expect(await sky("launch", "-y", "-c", "c", "--num-nodes", "2", "echo on $SKYPILOT_NODE_RANK")).toContain("on 1");
    expect(JSON.parse(await sky("status", "-o", "json"))).toMatchObject([{ name: "c", status: "UP", nodes: 2 }]);
    expect(postgres.query("select name from clusters")).toBe("c");
    expect(existsSync(join(sandbox.home, ".sky/ts/state.sqlite"))).toBe(false);
  });

  it("goes on with what a killed server left, without waiting until its leases have run out", async () => {
    const list = join(sandbox.root, "points");
    await sandbox.killServer();
    await start({ SKYPILOT_FAILPOINT_LIST: list });
    await sky("exec", "c", "true");
    const points = readFileSync(list, "utf8").trim().split("\n");
    const point = points.at(-1) ?? "";
    await sandbox.killServer();
    await start({ SKYPILOT_FAILPOINT: point });
    const death = sandbox.watchServer();
    const client = sandbox.startSky(["exec", "c", `echo once >> ${ledger}; echo done`], { timeoutMs: 60_000 });
    await death(`the server to die at ${point}`);
    const lease =
      "select lease_owner is not null and lease_expires_at > extract(epoch from now()) * 1000 from requests";
    expect(postgres.query(`${lease} where status = 'RUNNING'`)).toBe("t");
    await start();
    const taken = "select attempts from requests where operation = 'clusters.exec' order by created_at desc limit 1";
    await waitFor("the next server to take the request", () => postgres.query(taken) === "2");
    expect(
      postgres.query(
        `select count(*) from requests where operation = 'clusters.exec' and status = 'RUNNING' and attempts = 1`,
      ),
    ).toBe("0");
    const result = await client.result;
    expect(result.exitCode, plainText(result.stdout + result.stderr)).toBe(0);
    expect(readFileSync(ledger, "utf8")).toBe("once\n");
  });

  it("takes the cluster down", async () => {
    await sky("down", "-y", "-a");
    expect(postgres.query("select count(*) from clusters")).toBe("0");
  });
});
