import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { databaseKinds, openTestDatabase, POSTGRES_START_MS } from "../../../test/fakes/databases.ts";
import { requestIdOf, startTestServer, testOperation, type TestServer } from "../../../test/fakes/test-server.ts";
import { waitFor } from "../../../test/fakes/wait-for.ts";
import type { OpenDatabase } from "../../db/database.ts";
import { findRequest } from "../../db/queries/requests.ts";

describe.each(databaseKinds)("requests that only read, on %s", (kind) => {
  let database: OpenDatabase;
  let server: TestServer;
  let http: Server;
  const gate = Promise.withResolvers<string>();

  beforeEach(async () => {
    database = await openTestDatabase(kind);
    const run = (body: { readonly all_users: boolean }): Promise<unknown> =>
      body.all_users ? Promise.resolve(["now", "é"]) : gate.promise;
    const status = testOperation("status", run, { schedule: "short", isResumable: false });
    server = await startTestServer({
      database,
      limits: { long: 1, short: 200 },
      operations: { status: { ...status, isReadOnly: true } },
    });
    http = createServer((request, response) => void listener(request, response));
    const listener = getRequestListener(server.app.fetch, { overrideGlobalObjects: false });
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
  }, POSTGRES_START_MS);

  afterEach(async () => {
    http.closeAllConnections();
    http.close();
    await server.dispose();
    await database.close();
  });

  async function ask(body: object, headers: Readonly<Record<string, string>> = {}): Promise<string> {
    const response = await fetch(`${urlOf(http)}/status`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
    expect({ status: response.status, text: await response.text() }).toEqual({ status: 200, text: "null" });
    return requestIdOf(response);
  }

  async function resultOf(id: string): Promise<unknown> {
    const response = await fetch(`${urlOf(http)}/api/get?request_id=${id}`);
    expect(response.headers.get("x-skypilot-api-version")).toBe("62");
    return JSON.parse(((await response.json()) as { return_value: string }).return_value);
  }

  test("one that ends at once is in the table with its end when its id is answered, however many come together", async () => {
    const ids = await Promise.all(Array.from({ length: 130 }, () => ask({ all_users: true })));
    expect(new Set(ids).size).toBe(130);
    for (const id of ids) {
      expect(await findRequest(database.db, id)).toMatchObject({
        status: "SUCCEEDED",
        return_value: '["now","é"]',
        lease_owner: null,
        sealed_body: null,
      });
    }
    expect(await resultOf(ids[0] ?? "")).toEqual(["now", "é"]);
    expect(server.bugs).toEqual([]);
  });

  test("one that takes longer is in the table while it runs, and ends there", async () => {
    const id = await ask({ all_users: false });
    expect(await findRequest(database.db, id)).toMatchObject({ status: "RUNNING", return_value: null });
    gate.resolve("later");
    expect(await resultOf(id)).toBe("later");
    await waitFor("its end in the table", async () => (await findRequest(database.db, id))?.status === "SUCCEEDED");
  });

  test("an id of the client's own is stored first, and once", async () => {
    const key = "3f2c9a54-0000-4000-8000-000000000001";
    const headers = { "x-skypilot-idempotency-key": key };
    expect(await ask({ all_users: true }, headers)).toBe(key);
    expect(await resultOf(key)).toEqual(["now", "é"]);
    expect(await ask({ all_users: true }, headers)).toBe(key);
    expect(server.bugs).toEqual([]);
  });

  test("what cannot be stored is not answered with an id", async () => {
    await database.db.schema.alterTable("requests").renameTo("gone").execute();
    const response = await fetch(`${urlOf(http)}/status`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ all_users: true }),
    });
    expect(response.status).toBe(500);
    expect(server.bugs.length).toBeGreaterThan(0);
    await database.db.schema.alterTable("gone").renameTo("requests").execute();
  });
});

function urlOf(http: Server): string {
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
}
