import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openTestDatabase } from "../../test/fakes/databases.ts";
import { requestIdOf, startTestServer, testOperation, type TestServer } from "../../test/fakes/test-server.ts";
import { waitFor } from "../../test/fakes/wait-for.ts";
import type { OperationContext } from "../core/operation.ts";
import type { OpenDatabase } from "../db/database.ts";
import { parseControl } from "../shared/wire/control-lines.ts";

let database: OpenDatabase;
let server: TestServer;
let gate: PromiseWithResolvers<null>;

async function launchSteps(_body: never, context: OperationContext): Promise<number> {
  context.log.spin("[bold cyan]Launching[/]");
  context.log.line("Instance is up");
  await gate.promise;
  context.log.spinEnd();
  context.log.line("Job submitted");
  return 7;
}

function showHook(body: { readonly event: string; readonly tail: number }, context: OperationContext): Promise<number> {
  context.log.line(`${body.event} ${body.tail}`);
  return Promise.resolve(102);
}

beforeEach(async () => {
  gate = Promise.withResolvers();
  database = await openTestDatabase("sqlite");
  server = await startTestServer({
    database,
    limits: { long: 1, short: 2 },
    operations: {
      launch: testOperation("launch", launchSteps),
      hook_logs: testOperation("hook_logs", showHook, { schedule: "short", isResumable: false }),
      status: testOperation("status", () => Promise.resolve([]), { schedule: "short", isResumable: false }),
    },
  });
});
afterEach(async () => {
  gate.resolve(null);
  await server.dispose();
  await database.close();
});

async function launch(): Promise<string> {
  return requestIdOf(await server.post("/launch", { task: "run: x", cluster_name: "c1" }));
}

async function firstChunk(
  response: Response,
): Promise<{ text: string; reader: ReadableStreamDefaultReader<Uint8Array> }> {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const { value } = await reader.read();
  return { text: new TextDecoder().decode(value), reader };
}

async function rest(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += new TextDecoder().decode(value);
  }
}

describe("every answer", () => {
  test("has the version headers and an id of its own", async () => {
    for (const path of ["/api/status", "/nope", "/api/get?request_id=x", "/users/role", "/"]) {
      const response = await server.get(path);
      expect(response.headers.get("x-skypilot-api-version"), path).toBe("62");
      expect(response.headers.get("x-skypilot-version"), path).toBe("0.14.1");
      expect(response.headers.get("x-skypilot-server"), path).toBe("ts");
      expect(response.headers.get("x-skypilot-request-id"), path).toMatch(/^[0-9a-f-]{36}$/);
      expect(response.headers.get("access-control-allow-origin"), path).toBeNull();
    }
  });

  test("of an unknown path is the one that the official server gives", async () => {
    const response = await server.get("/nope");
    expect(response.status).toBe(404);
    expect(await response.json()).toEqual({ detail: "Not Found" });
  });

  test("of `/` leads to the dashboard", async () => {
    const response = await server.get("/");
    expect([response.status, response.headers.get("location")]).toEqual([302, "/dashboard/"]);
  });

  test("to a foreign Host, a foreign page and a form is a refusal, and nothing is stored", async () => {
    const body = { task: "run: x", cluster_name: "c1" };
    const refused = await Promise.all([
      server.post("/launch", body, { host: "evil.example" }),
      server.post("/launch", body, { origin: "http://evil.example" }),
      server.post("/launch", body, { "content-type": "text/plain" }),
    ]);
    expect(refused.map((response) => response.status)).toEqual([403, 403, 415]);
    expect(await (await server.get("/api/status?all_status=true")).json()).toEqual([]);
  });

  test("to a body that breaks the schema names the places, never the values", async () => {
    const response = await server.post("/launch", { task: 5, cluster_name: "hunter2", dryrun: "hunter2" });
    const text = await response.text();
    expect(response.status).toBe(422);
    expect(text).not.toContain("hunter2");
    expect(JSON.parse(text)).toMatchObject({
      detail: [{ loc: ["body", "task"], msg: "Expected string" }, { loc: ["body", "dryrun"] }],
    });
  });

  test("to text that is no JSON does not quote it", async () => {
    const response = await server.app.request("/launch", {
      method: "POST",
      body: "{hunter2",
      headers: { host: "localhost", "content-type": "application/json", "content-length": "8" },
    });
    expect(response.status).toBe(400);
    expect(await response.text()).not.toContain("hunter2");
  });

  test("to a body beyond the limit is 413, declared or not", async () => {
    const big = "x".repeat(25 * 1024 * 1024);
    const headers = { host: "localhost", "content-type": "application/json" };
    const declared = await server.app.request("/launch", {
      method: "POST",
      body: "{}",
      headers: { ...headers, "content-length": String(big.length) },
    });
    const streamed = await server.app.request("/launch", {
      method: "POST",
      body: JSON.stringify({ task: big }),
      headers: { ...headers, "transfer-encoding": "chunked" },
    });
    expect([declared.status, streamed.status]).toEqual([413, 413]);
  });

  test("on a listener with a token needs the token, whatever identity a header claims", async () => {
    const guarded = await startTestServer({ database, policy: { isLoopback: false, token: "sky_0123456789abcdef" } });
    const claims = { "x-auth-request-email": "admin@example.com", "x-forwarded-user": "root" };
    expect((await guarded.get("/api/status", claims)).status).toBe(401);
    expect((await guarded.get("/api/status", { authorization: "Bearer sky_0123456789abcdef" })).status).toBe(200);
    await guarded.dispose();
  });
});

describe("/api/get", () => {
  test("waits for the end and tells ids from prefixes", async () => {
    const id = await launch();
    const waiting = server.get(`/api/get?request_id=${id.slice(0, 8)}`);
    await waitFor("somebody to wait", () => server.queue.findLive(id) !== undefined);
    gate.resolve(null);
    expect(await (await waiting).json()).toMatchObject({ request_id: id, return_value: "7", entrypoint: "gAROLg==" });
    const missing = await server.get("/api/get?request_id=nosuch");
    expect([missing.status, ((await missing.json()) as { detail: string }).detail]).toEqual([
      404,
      "Request 'nosuch' not found",
    ]);
    expect((await server.get("/api/get")).status).toBe(404);
  });

  test("answers 500 with the record when the request failed", async () => {
    const id = requestIdOf(await server.post("/jobs/launch", { task: "run: x", name: null }));
    const response = await server.get(`/api/get?request_id=${id}`);
    expect(response.status).toBe(500);
    const { detail } = (await response.json()) as { detail: { name: string; error: string } };
    expect(detail.name).toBe("sky.jobs.launch");
    expect(JSON.parse(detail.error)).toMatchObject({ type: "NotSupportedError", hint: expect.any(String) });
  });
});

describe("/api/stream", () => {
  test("follows the log to the end and repeats it byte for byte", async () => {
    const id = await launch();
    const live = await server.get(`/api/stream?request_id=${id}&follow=True&format=console`);
    expect(live.headers.get("x-skypilot-stream-request-id")).toBe(id);
    expect(live.headers.get("cache-control")).toBe("no-cache, no-transform");
    const { text, reader } = await firstChunk(live);
    gate.resolve(null);
    const whole = text + (await rest(reader));
    const again = await (await server.get(`/api/stream?request_id=${id}&format=console`)).text();
    expect(again).toBe(whole);
    expect(whole.split("\n").filter((line) => line !== "" && parseControl(line) === undefined)).toEqual([
      "Instance is up",
      "Job submitted",
    ]);
  });

  test("goes on from any byte", async () => {
    const id = await launch();
    gate.resolve(null);
    const whole = await (await server.get(`/api/stream?request_id=${id}&offset=0`)).text();
    for (const offset of [1, 20, whole.length]) {
      const response = await server.get(`/api/stream?request_id=${id}&format=console&offset=${offset}`);
      expect(response.headers.get("x-skypilot-log-offset")).toBe(String(offset));
      const console = await (await server.get(`/api/stream?request_id=${id}&format=console`)).text();
      expect(await response.text()).toBe(console.slice(offset));
    }
  });

  test("leaves control lines out of the plain form, shows a page to a browser, and packs a download", async () => {
    const id = await launch();
    gate.resolve(null);
    const plain = await (await server.get(`/api/stream?request_id=${id}&format=plain`)).text();
    expect(plain).toBe("Instance is up\nJob submitted\n");
    expect(await (await server.get(`/api/stream?request_id=${id}&tail=1`)).text()).toBe("Job submitted\n");
    const page = await server.get(`/api/stream?request_id=${id}&format=auto`, { "user-agent": "Mozilla/5.0" });
    expect(page.headers.get("content-type")).toContain("text/html");
    expect(await page.text()).toContain("Instance is up\nJob submitted");
    const packed = await server.get(`/api/stream?request_id=${id}&download=../a"b.log&compress=gz`);
    expect(packed.headers.get("content-disposition")).toBe('attachment; filename=".._a_b.log"');
    const bytes = packed.body as ReadableStream<Uint8Array>;
    expect(await new Response(bytes.pipeThrough(new DecompressionStream("gzip"))).text()).toBe(plain);
  });

  test("shows a spinner while the request waits for a slot", async () => {
    await launch();
    const second = await launch();
    const response = await server.get(`/api/stream?request_id=${second}&format=console`);
    const { text, reader } = await firstChunk(response);
    expect(text).toContain(`<rich_init>[dim]Checking request: ${second}[/dim]</rich_init>`);
    gate.resolve(null);
    const after = await rest(reader);
    expect(after).toContain(`Waiting for 'sky.launch' request to be scheduled: ${second}`);
    expect(after.indexOf("<rich_stop>")).toBeGreaterThan(0);
    expect(after.indexOf("<rich_stop>")).toBeLessThan(after.indexOf("Instance is up"));
  });

  test("without an id shows the latest request; with two things to show, neither", async () => {
    gate.resolve(null);
    const id = await launch();
    const latest = await server.get("/api/stream?follow=false");
    expect(latest.headers.get("x-skypilot-stream-request-id")).toBe(id);
    await latest.text();
    const both = await server.get(`/api/stream?request_id=${id}&log_path=x`);
    expect(both.status).toBe(400);
    expect(await both.json()).toMatchObject({ detail: "Only one of request_id and log_path can be provided" });
    expect((await server.get("/api/stream?request_id=nosuch")).status).toBe(404);
    expect((await server.get(`/api/stream?request_id=${id}&offset=-1`)).status).toBe(400);
  });

  test("ends its waiting when the client goes", async () => {
    const id = await launch();
    const { reader } = await firstChunk(await server.get(`/api/stream?request_id=${id}&format=console`));
    await reader.cancel();
    await waitFor("nobody to listen", () => server.events.size === 0);
  });

  test("hands out files below ~/sky_logs and nothing else", async () => {
    const logs = server.paths.skyLogs;
    mkdirSync(join(logs, "run"), { recursive: true });
    writeFileSync(join(logs, "run", "a.log"), "content\n");
    writeFileSync(join(server.home, "secret"), "hunter2\n");
    symlinkSync(join(server.home, "secret"), join(logs, "run", "link"));
    const get = (path: string): Promise<Response> =>
      server.get(`/api/stream?follow=false&format=console&log_path=${encodeURIComponent(path)}`);
    expect(await (await get("run/a.log")).text()).toBe("content\n");
    expect(await (await get("~/sky_logs/run/a.log")).text()).toBe("content\n");
    for (const path of ["../secret", "run/../../secret", "/etc/passwd", "run/link", "~/secret", ".."]) {
      const response = await get(path);
      expect([path, response.status]).toEqual([path, 400]);
      expect(await response.text()).not.toContain("hunter2");
    }
    expect((await get("run/none.log")).status).toBe(404);
  });
});

test("/api/status lists active requests, or all, newest first", async () => {
  const first = await launch();
  const other = requestIdOf(
    await server.post("/status", { env_vars: { SKYPILOT_USER_ID: "abc", SKYPILOT_USER: "ann" } }),
  );
  await (await server.get(`/api/get?request_id=${other}`)).text();
  const ids = async (query: string): Promise<string[]> =>
    ((await (await server.get(`/api/status?${query}`)).json()) as { request_id: string }[]).map(
      (row) => row.request_id,
    );
  expect(await ids("")).toEqual([first]);
  expect((await ids("all_status=True")).toSorted()).toEqual([first, other].toSorted());
  expect(await ids("all_status=True&limit=1")).toHaveLength(1);
  expect(await ids(`request_ids=${other.slice(0, 8)}`)).toEqual([other]);
  expect(await ids("cluster_name=c1")).toEqual([first]);
  const [row] = (await (await server.get(`/api/status?request_ids=${other}&fields=request_id`)).json()) as unknown[];
  expect(row).toMatchObject({ user_name: "ann", request_body: "null", status: "SUCCEEDED", pid: null });
  const unknown = await server.get("/api/status?fields=password");
  expect([unknown.status, await unknown.json()]).toMatchObject([400, { detail: "Unknown request field(s): password" }]);
});

test("what `sky status` asks about things that are not there yet is answered as the original does", async () => {
  const value = async (response: Response): Promise<unknown> => {
    const got = await server.get(`/api/get?request_id=${requestIdOf(response)}`);
    return JSON.parse(((await got.json()) as { return_value: string }).return_value);
  };
  expect(await value(await server.post("/jobs/pool_status", { pool_names: null }))).toEqual([]);
  for (const path of ["/jobs/queue/v2", "/serve/status"]) {
    const got = await server.get(`/api/get?request_id=${requestIdOf(await server.post(path))}`);
    const { detail } = (await got.json()) as { detail: { error: string } };
    expect(JSON.parse(detail.error), path).toMatchObject({ type: "ClusterNotUpError" });
  }
  expect(await value(await server.get("/volumes?refresh=False"))).toEqual([]);
  expect(await value(await server.get("/workspaces"))).toEqual({ default: { writable: true, read_only: false } });
  expect(await (await server.get("/users/me/workspace")).json()).toMatchObject({ workspace: "default" });
  expect(await (await server.get("/api/plugins")).json()).toEqual({ plugins: [] });
  expect(await (await server.get("/users")).json()).toMatchObject([{ id: "5e1f5e1f", role: "admin" }]);
});

test("completion offers what begins like the word", async () => {
  const id = await launch();
  expect(await (await server.get(`/api/completion/api_request?incomplete=${id.slice(0, 4)}`)).json()).toEqual([id]);
  expect(await (await server.get("/api/completion/cluster_name?incomplete=x")).json()).toEqual([]);
});

test("/validate answers null, or the error as plain data", async () => {
  const good = await server.post("/validate", { dag: "name: x\n---\nname: x\nrun: echo hi\n" });
  expect([good.status, await good.text()]).toEqual([200, "null"]);
  const bad = await server.post("/validate", { dag: "name: x\nrunn: echo hi\n" });
  expect(bad.status).toBe(400);
  expect(await bad.json()).toMatchObject({
    detail: { type: expect.any(String), message: expect.stringContaining("runn") },
  });
});

test("the OpenAPI document covers every route of the application", async () => {
  const document = (await (await server.get("/openapi.json")).json()) as {
    openapi: string;
    paths: Record<string, Record<string, { operationId: string }>>;
  };
  expect(document.openapi).toBe("3.1.0");
  const ids = Object.values(document.paths).flatMap((methods) => Object.values(methods).map((one) => one.operationId));
  expect(new Set(ids).size).toBe(ids.length);
  expect(document.paths["/launch"]?.["post"]).toMatchObject({
    requestBody: {
      content: { "application/json": { schema: { required: expect.arrayContaining(["task", "cluster_name"]) } } },
    },
  });
  for (const { path } of server.app.routes) {
    const isSpecial =
      path === "/*" || /^\/(?:$|dashboard|api\/(?:completion|plugins)|ssh_node_pools|openapi|users\/)/.test(path);
    if (!isSpecial) expect(Object.keys(document.paths), path).toContain(path);
  }
});

test("a key for SSH pools whose form is too long, or does not say how long it is, is not read", async () => {
  const form = { "content-type": "multipart/form-data; boundary=x", "x-skypilot-api-version": "62" };
  const answer = async (headers: Readonly<Record<string, string>>): Promise<unknown> => {
    const init = { method: "POST", headers: { host: "127.0.0.1:46580", ...form, ...headers }, body: "x" };
    const response = await server.app.request("/ssh_node_pools/keys", init);
    return [response.status, ((await response.json()) as { detail: string }).detail];
  };
  expect(await answer({ "content-length": "200000" })).toEqual([400, "The key is too large."]);
  expect(await answer({ "content-length": "endless" })).toEqual([400, "The key is too large."]);
  const chunked = { "transfer-encoding": "chunked" };
  expect(await answer(chunked)).toEqual([400, "The form must say its Content-Length."]);
});

test("the log of a hook is the log of its request, and its exit code the result", async () => {
  const body = { cluster_name: "c1", event: "stop", tail: 5 };
  const id = requestIdOf(await server.post("/hook_logs", body));
  expect(await (await server.get(`/api/stream?request_id=${id}&format=plain`)).text()).toBe("stop 5\n");
  expect(await (await server.get(`/api/get?request_id=${id}`)).json()).toMatchObject({ return_value: "102" });
  expect((await server.post("/hook_logs", { ...body, event: "reboot" })).status).toBe(422);
});
