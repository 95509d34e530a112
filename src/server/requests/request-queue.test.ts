import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { databaseKinds, openTestDatabase, POSTGRES_START_MS } from "../../../test/fakes/databases.ts";
import {
  requestIdOf,
  startTestServer,
  testOperation,
  type TestServer,
  type TestServerOptions,
} from "../../../test/fakes/test-server.ts";
import { waitFor } from "../../../test/fakes/wait-for.ts";
import type { OpenDatabase } from "../../db/database.ts";
import { findRequest, insertRequest, type RequestRow } from "../../db/queries/requests.ts";
import { ClusterNotUpError, RequestInterruptedError } from "../../shared/errors.ts";

interface Payload {
  readonly status: string;
  readonly return_value: string;
  readonly error: string;
  readonly should_retry: boolean;
}

describe.each(databaseKinds)("the queue on %s", (kind) => {
  let database: OpenDatabase;
  let servers: TestServer[];
  beforeEach(async () => {
    database = await openTestDatabase(kind);
    servers = [];
  }, POSTGRES_START_MS);
  afterEach(async () => {
    for (const server of servers) await server.dispose();
    await database.close();
  });

  async function serve(options: Omit<TestServerOptions, "database"> = {}): Promise<TestServer> {
    const server = await startTestServer({ database, ...options });
    servers.push(server);
    return server;
  }

  async function launch(server: TestServer, headers: Readonly<Record<string, string>> = {}): Promise<string> {
    const response = await server.post("/launch", { task: "run: x", cluster_name: "c1" }, headers);
    expect(response.status).toBe(200);
    return requestIdOf(response);
  }

  async function result(server: TestServer, id: string): Promise<Payload> {
    const response = await server.get(`/api/get?request_id=${id}`);
    const json = (await response.json()) as Payload & { detail?: Payload };
    return json.detail ?? json;
  }

  async function requireRow(id: string): Promise<RequestRow> {
    const row = await findRequest(database.db, id);
    if (row === undefined) throw new Error(`No request ${id}.`);
    return row;
  }

  test("a result, its log, and a body that is gone once it is not needed", async () => {
    const server = await serve({
      operations: {
        launch: testOperation("launch", async (body: { task: string }, context) => {
          context.log.line(`task is ${body.task}`);
          return { job_id: 1 };
        }),
      },
    });
    const id = await launch(server);
    expect(await result(server, id)).toMatchObject({
      status: "SUCCEEDED",
      return_value: '{"job_id":1}',
      error: "null",
    });
    const row = await requireRow(id);
    expect(row).toMatchObject({ sealed_body: null, cluster_name: "c1", name: "sky.launch", lease_owner: null });
    expect(row.body).not.toContain("run: x");
    expect(readFileSync(join(server.paths.requestLogs, `${id}.log`), "utf8")).toBe("task is run: x\n");
  });

  test("while it runs, the stored body is sealed", async () => {
    const gate = Promise.withResolvers<null>();
    const server = await serve({ operations: { launch: testOperation("launch", () => gate.promise) } });
    const response = await server.post("/launch", { task: "secrets: {A: hunter2}", cluster_name: "c1" });
    const row = await requireRow(requestIdOf(response));
    expect(row.sealed_body).toEqual(expect.any(String));
    expect(JSON.stringify(row)).not.toContain("hunter2");
    expect(Buffer.from(row.sealed_body ?? "", "base64").toString("latin1")).not.toContain("hunter2");
    gate.resolve(null);
  });

  test("errors: one for the user as it is, a bug with its request's id", async () => {
    const server = await serve({
      operations: {
        launch: testOperation("launch", () =>
          Promise.reject(new ClusterNotUpError("c1 is STOPPED", { hint: "sky start c1" })),
        ),
        exec: testOperation("exec", () => Promise.reject(new TypeError("x is undefined"))),
      },
    });
    const failed = await result(server, await launch(server));
    expect(failed.status).toBe("FAILED");
    expect(JSON.parse(failed.error)).toMatchObject({
      type: "ClusterNotUpError",
      message: "c1 is STOPPED",
      hint: "sky start c1",
    });
    const bug = requestIdOf(await server.post("/exec", { task: "run: x", cluster_name: "c1" }));
    expect(JSON.parse((await result(server, bug)).error)).toMatchObject({
      type: "RuntimeError",
      hint: expect.stringContaining(bug),
    });
    expect(server.bugs).toHaveLength(1);
  });

  test("long requests wait for a slot in order; short ones do not wait for long ones", async () => {
    const gates: (() => void)[] = [];
    const started: string[] = [];
    const server = await serve({
      limits: { long: 1, short: 1 },
      operations: {
        launch: testOperation("launch", async (_body, context) => {
          started.push(context.requestId);
          await new Promise<void>((resolve) => gates.push(resolve));
        }),
        status: testOperation("status", () => Promise.resolve([]), { schedule: "short", isResumable: false }),
      },
    });
    const ids = [await launch(server), await launch(server), await launch(server)];
    await waitFor("the first to start", () => gates.length === 1);
    expect((await requireRow(ids[1] ?? "")).status).toBe("PENDING");
    const status = await server.post("/status");
    expect(await result(server, requestIdOf(status))).toMatchObject({ status: "SUCCEEDED", return_value: "[]" });
    for (let index = 0; index < 3; index++) {
      await waitFor(`number ${index} to start`, () => gates.length === index + 1);
      gates[index]?.();
    }
    for (const id of ids) expect((await result(server, id)).status).toBe("SUCCEEDED");
    expect(started).toEqual(ids);
  });

  test("a request that says it waits gives its slot to others", async () => {
    const gate = Promise.withResolvers<null>();
    const server = await serve({
      limits: { long: 1, short: 1 },
      operations: {
        launch: testOperation("launch", (_body, context) => {
          context.requests.setWaiting("no capacity; next try in 60 s");
          return gate.promise;
        }),
        exec: testOperation("exec", () => Promise.resolve("ran")),
      },
    });
    const waiting = await launch(server);
    await waitFor("it to be WAITING", async () => (await requireRow(waiting)).status === "WAITING");
    expect((await requireRow(waiting)).status_msg).toBe("no capacity; next try in 60 s");
    const other = requestIdOf(await server.post("/exec", { task: "run: x", cluster_name: "c1" }));
    expect((await result(server, other)).return_value).toBe('"ran"');
    gate.resolve(null);
    expect((await result(server, waiting)).status).toBe("SUCCEEDED");
  });

  test("cancel aborts a running request, ends a waiting one, and waits for the clean-up", async () => {
    let isCleanedUp = false;
    const server = await serve({
      limits: { long: 1, short: 2 },
      operations: {
        launch: testOperation("launch", async (_body, context) => {
          await new Promise((resolve) => context.signal.addEventListener("abort", resolve, { once: true }));
          await new Promise((resolve) => setImmediate(resolve));
          isCleanedUp = true;
          context.signal.throwIfAborted();
        }),
      },
    });
    const running = await launch(server);
    const waiting = await launch(server);
    await waitFor("the first to run", () => server.queue.findLive(running) !== undefined);
    const cancel = await server.post("/api/cancel", { request_ids: [running.slice(0, 13), waiting] });
    const payload = await result(server, requestIdOf(cancel));
    expect((JSON.parse(payload.return_value) as string[]).toSorted()).toEqual([running, waiting].toSorted());
    expect(isCleanedUp).toBe(true);
    for (const id of [running, waiting]) {
      expect(await result(server, id)).toMatchObject({ status: "CANCELLED", return_value: "null", error: "null" });
    }
    const log = readFileSync(join(server.paths.requestLogs, `${running}.log`), "utf8");
    expect(log).toBe(`'sky.launch' request ${running} cancelled\n`);
    const again = await server.post("/api/cancel", { request_ids: [running] });
    expect((await result(server, requestIdOf(again))).return_value).toBe("[]");
  });

  test("an operation can cancel the others on its cluster, but not itself", async () => {
    const server = await serve({
      operations: {
        launch: testOperation("launch", async (_body, context) => {
          await new Promise((resolve) => context.signal.addEventListener("abort", resolve, { once: true }));
          throw context.signal.reason as Error;
        }),
        down: testOperation("down", (_body, context) => context.requests.cancelOthers("c1")),
      },
    });
    const id = await launch(server);
    await waitFor("it to run", () => server.queue.findLive(id) !== undefined);
    const down = await server.post("/down", { cluster_name: "c1" });
    expect(JSON.parse((await result(server, requestIdOf(down))).return_value)).toEqual([id]);
    expect((await result(server, id)).status).toBe("CANCELLED");
  });

  test("the same idempotency key is the same request", async () => {
    let runs = 0;
    const server = await serve({ operations: { launch: testOperation("launch", () => Promise.resolve(++runs)) } });
    const key = { "x-skypilot-idempotency-key": "0f0f0f0f-1111-4222-8333-444444444444" };
    const ids = await Promise.all([launch(server, key), launch(server, key)]);
    expect(ids).toEqual([key["x-skypilot-idempotency-key"], key["x-skypilot-idempotency-key"]]);
    expect((await result(server, ids[0])).return_value).toBe("1");
    expect(await launch(server, key)).toBe(ids[0]);
    expect(runs).toBe(1);
    const foreign = await server.post(
      "/launch",
      { task: "run: x", cluster_name: "c1", env_vars: { SKYPILOT_USER_ID: "abcdef01" } },
      key,
    );
    expect(foreign.status).toBe(403);
    const malformed = await server.post(
      "/launch",
      { task: "", cluster_name: "c" },
      { "x-skypilot-idempotency-key": "1; drop" },
    );
    expect(malformed.status).toBe(400);
  });

  async function leaveRunning(server: TestServer, fields: Partial<RequestRow> = {}): Promise<string> {
    // The row of a server that died: running, held by nobody alive.
    const gone = kind === "postgres" ? { lease_expires_at: 1 } : {};
    const id = crypto.randomUUID();
    const input = {
      body: { task: "run: x" },
      caller: { userId: "u", userName: "u" },
      isLocalClient: true,
      clientApiVersion: null,
    };
    const { Sealer } = await import("./sealer.ts");
    await insertRequest(database.db, {
      request_id: id,
      operation: "test.launch",
      name: "sky.launch",
      status: "RUNNING",
      schedule_type: "long",
      user_id: "u",
      user_name: "u",
      cluster_name: null,
      body: "{}",
      sealed_body: new Sealer(server.key).seal(id, JSON.stringify(input)),
      return_value: null,
      error: null,
      status_msg: null,
      file_mounts_blob_id: null,
      created_at: 1,
      finished_at: null,
      lease_owner: "dead",
      lease_token: 1,
      lease_expires_at: null,
      cancel_requested: 0,
      attempts: 1,
      ...gone,
      ...fields,
    });
    return id;
  }

  test("after a crash, resumable requests go on and others end as interrupted", async () => {
    const seen: string[] = [];
    const operations = {
      launch: testOperation("launch", (body: { task: string }) => Promise.resolve(seen.push(body.task))),
      queue: testOperation("queue", () => Promise.resolve([]), { schedule: "short", isResumable: false }),
    };
    const first = await serve({ operations });
    const resumed = await leaveRunning(first);
    const interrupted = await leaveRunning(first, {
      operation: "test.queue",
      name: "sky.queue",
      schedule_type: "short",
    });
    const cancelled = await leaveRunning(first, { cancel_requested: 1 });
    const unknown = await leaveRunning(first, { operation: "test.gone" });
    const second = await serve({ operations, key: first.key });
    expect((await result(second, resumed)).return_value).toBe("1");
    expect(seen).toEqual(["run: x"]);
    expect((await requireRow(resumed)).attempts).toBe(2);
    const lost = await result(second, interrupted);
    expect(lost).toMatchObject({ status: "FAILED", should_retry: true });
    expect(JSON.parse(lost.error)).toMatchObject({
      type: "RequestInterruptedError",
      message: `Request '${interrupted}' was interrupted by an API server restart and will not be resumed. Please re-submit the original request.`,
    });
    expect((await result(second, cancelled)).status).toBe("CANCELLED");
    expect((await result(second, unknown)).status).toBe("FAILED");
  });

  test("a server takes up at once what the last one of its data directory left, and of no other before its lease ends", async () => {
    const operations = { launch: testOperation("launch", () => Promise.resolve("ran")) };
    const first = await serve({ operations });
    const alive = { lease_expires_at: Date.now() + 3_600_000 };
    const own = await leaveRunning(first, { ...alive, lease_owner: "here@host/1" });
    const other = await leaveRunning(first, { ...alive, lease_owner: "there@host/1" });
    const second = await serve({ operations, key: first.key, owner: "here@host/2" });
    expect(await result(second, own)).toMatchObject({ status: "SUCCEEDED", return_value: '"ran"' });
    const row = await requireRow(other);
    // With SQLite the data directory's lock keeps every other server out.
    if (kind === "postgres") expect(row).toMatchObject({ status: "RUNNING", lease_owner: "there@host/1", attempts: 1 });
    else expect((await result(second, other)).status).toBe("SUCCEEDED");
  });

  test("a body that was sealed with another key ends the request with a reason", async () => {
    const operations = { launch: testOperation("launch", () => Promise.resolve(null)) };
    const first = await serve({ operations });
    const id = await leaveRunning(first);
    const second = await serve({ operations });
    expect(JSON.parse((await result(second, id)).error)).toMatchObject({ message: expect.stringContaining("key") });
  });

  test("a server that stops interrupts what cannot resume and gives the rest back", async () => {
    const never = (_body: never, context: { readonly signal: AbortSignal }): Promise<never> =>
      new Promise((_resolve, reject) => context.signal.addEventListener("abort", () => reject(new Error("aborted"))));
    const server = await serve({
      operations: {
        launch: testOperation("launch", never),
        queue: testOperation("queue", never, { schedule: "short", isResumable: false }),
      },
    });
    const long = await launch(server);
    const short = requestIdOf(await server.post("/queue", { cluster_name: "c1" }));
    await waitFor("both to run", () => [long, short].every((id) => server.queue.findLive(id) !== undefined));
    await server.queue.close({ graceMs: 0 });
    expect(await requireRow(long)).toMatchObject({ status: "PENDING", lease_owner: null });
    expect(await requireRow(short)).toMatchObject({ status: "FAILED", should_retry: 1 });
    const refused = await server.post("/queue", { cluster_name: "c1" });
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ detail: "Server is shutting down, please try again later." });
  });

  test("an operation that ends although the server lost its lease writes nothing", async () => {
    const gate = Promise.withResolvers<string>();
    const server = await serve({ operations: { launch: testOperation("launch", () => gate.promise) } });
    const id = await launch(server);
    await database.db
      .updateTable("requests")
      .set({ lease_token: 9, lease_owner: "other" })
      .where("request_id", "=", id)
      .execute();
    gate.resolve("mine");
    await waitFor("it to end here", () => server.queue.findLive(id) === undefined);
    expect(await requireRow(id)).toMatchObject({ status: "RUNNING", lease_token: 9, return_value: null });
  });
});

test("a request that nobody has stays unknown, and a wait ends with its signal", async () => {
  const database = await openTestDatabase("sqlite");
  const server = await startTestServer({
    database,
    operations: { launch: testOperation("launch", () => new Promise(() => undefined)) },
  });
  expect(await server.queue.wait("none", { signal: new AbortController().signal })).toBeUndefined();
  const id = requestIdOf(await server.post("/launch", { task: "", cluster_name: "c" }));
  const stop = new AbortController();
  const waiting = server.queue.wait(id, { signal: stop.signal });
  stop.abort(new RequestInterruptedError("enough"));
  await expect(waiting).rejects.toThrow("enough");
  expect(server.events.size).toBe(0);
  expect(existsSync(join(server.paths.requestLogs, `${id}.log`))).toBe(false);
  await server.dispose();
  await database.close();
});
