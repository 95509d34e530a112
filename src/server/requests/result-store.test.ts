import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { databaseKinds, openTestDatabase, POSTGRES_START_MS } from "../../../test/fakes/databases.ts";
import { FakeClock } from "../../../test/fakes/fake-clock.ts";
import { requestIdOf, startTestServer, testOperation } from "../../../test/fakes/test-server.ts";
import type { OpenDatabase } from "../../db/database.ts";
import { deleteUnusedValues } from "../../db/queries/request-values.ts";
import { findRequest } from "../../db/queries/requests.ts";
import { readClustersVersion } from "../../db/queries/table-versions.ts";
import { JsonText } from "../../shared/json-text.ts";
import { cachedStatus } from "../cached-status.ts";
import { Sealer } from "./sealer.ts";
import { ResultStore } from "./result-store.ts";

const large = JSON.stringify(Array.from({ length: 3000 }, (_, index) => ({ name: `c${index} "é"` })));

describe.each(databaseKinds)("results on %s", (kind) => {
  let database: OpenDatabase;
  beforeEach(async () => {
    database = await openTestDatabase(kind);
  }, POSTGRES_START_MS);
  afterEach(() => database.close());

  async function countValues(): Promise<number> {
    return (await database.db.selectFrom("request_values").select("hash").execute()).length;
  }

  async function addCluster(name: string): Promise<void> {
    await database.db
      .insertInto("clusters")
      .values({
        name,
        cluster_hash: name,
        name_on_cloud: name,
        cloud: "local",
        region: "local",
        zone: null,
        status: "UP",
        phase: "ready",
        num_nodes: 1,
        offer: "{}",
        per_node: "{}",
        instances: "[]",
        requested_resources: "{}",
        ports: "[]",
        labels: "{}",
        launched_at: 1,
        last_use: null,
        status_updated_at: 1,
        autostop: -1,
        to_down: 0,
        wait_for: "jobs",
        owner: null,
        user_hash: "u",
        user_name: "u",
        workspace: "default",
        cluster_ever_up: 1,
        last_creation_yaml: null,
        last_creation_command: null,
        provision_log_path: null,
        is_managed: 0,
        config_hash: null,
        last_event: null,
        price_usd_per_hour: null,
        secret_path: null,
        busy_request: null,
      })
      .execute();
  }

  function open(clock = new FakeClock()): ResultStore {
    return new ResultStore({ db: database.db, clock, sealer: new Sealer(Buffer.alloc(32, 7)) });
  }

  test("a result with a key in it is in no row in the clear, and only its own request can be answered with it", async () => {
    const text = JSON.stringify([{ credentials: "PRIVATE KEY" }]);
    const kept = await open().keep("r1", text, new JsonText(text, { isSecret: true }));
    expect(JSON.parse(kept.escaped.toString())).toBe(text);
    expect(JSON.stringify(kept.columns)).not.toContain("PRIVATE");
    expect(JSON.parse((await open().load("r1", kept.columns)).toString())).toBe(text);
    await expect(open().load("r2", kept.columns)).rejects.toThrow("cannot be read");
  });

  test("a small result is kept in its row, a large one once, whoever asks", async () => {
    const store = open();
    const small = await store.keep("r1", "[1]", undefined);
    expect(small).toEqual({ columns: { return_value: "[1]", return_hash: null }, escaped: '"[1]"' });
    const source = new JsonText(large);
    const [one, two] = [await store.keep("r1", large, source), await store.keep("r1", large, undefined)];
    expect(one.columns).toEqual(two.columns);
    expect(await countValues()).toBe(1);
    const reopened = open();
    for (const columns of [one.columns, small.columns]) {
      const escaped = await reopened.load("r1", columns);
      expect(JSON.parse(escaped.toString())).toBe(columns.return_hash === null ? "[1]" : large);
    }
    expect(await store.load("r1", { return_value: null, return_hash: null })).toBe('"null"');
  });

  test("a large result reaches the client, from memory and from the table", async () => {
    const server = await startTestServer({
      database,
      operations: {
        status: testOperation("status", () => Promise.resolve(JSON.parse(large)), {
          schedule: "short",
          isResumable: false,
        }),
      },
    });
    const id = requestIdOf(await server.post("/status"));
    const first = await (await server.get(`/api/get?request_id=${id}`)).json();
    expect((first as { return_value: string }).return_value).toBe(large);
    const second = await startTestServer({ database });
    expect(await (await second.get(`/api/get?request_id=${id}`)).json()).toEqual(first);
    expect(await findRequest(database.db, id)).toMatchObject({ return_value: null });
    await server.dispose();
    await second.dispose();
  });

  test("results that no request names are deleted, but not the newest", async () => {
    const clock = new FakeClock();
    const store = open(clock);
    await store.keep("r1", large, undefined);
    await deleteUnusedValues(database.db, clock.now());
    expect(await countValues()).toBe(1);
    await deleteUnusedValues(database.db, clock.now() + 1);
    expect(await countValues()).toBe(0);
    clock.advance(31 * 60_000);
    await store.keep("r1", large, undefined);
    expect(await countValues()).toBe(1);
  });

  test("status is answered from memory until a cluster changes, whoever changes it", async () => {
    let runs = 0;
    const status = testOperation("status", () => Promise.resolve([++runs]));
    const cached = cachedStatus(status);
    const context = { db: database.db, caller: { userId: "u", userName: "u", workspace: "default" } };
    const ask = async (body: object): Promise<string> => {
      const result = await cached.run({ refresh: "NONE", all_users: true, ...body } as never, context as never);
      return result instanceof JsonText ? result.text : JSON.stringify(result);
    };
    expect([await ask({}), await ask({})]).toEqual(["[1]", "[1]"]);
    expect(await ask({ all_users: false })).toBe("[2]");
    expect(await ask({ refresh: "FORCE" })).toBe("[3]");
    expect(await ask({ cluster_names: ["c*"] })).toBe("[4]");
    const before = await readClustersVersion(database.db);
    await addCluster("c1");
    expect(await ask({})).toBe("[5]");
    await database.db.updateTable("clusters").set({ status: "STOPPED" }).execute();
    expect(await ask({})).toBe("[6]");
    await database.db.deleteFrom("clusters").execute();
    expect([await ask({}), await ask({})]).toEqual(["[7]", "[7]"]);
    expect(await readClustersVersion(database.db)).toBeGreaterThanOrEqual(before + 3);
  });
});
