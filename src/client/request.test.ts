import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../shared/clock.ts";
import { ClusterDoesNotExistError, RequestCancelledError, RequestNotFoundError } from "../shared/errors.ts";
import { SkyClient } from "./sky-client.ts";

type Handler = (request: IncomingMessage, response: ServerResponse, nth: number) => void;

const servers: Server[] = [];

/** A server whose answers to each path are given by functions; `nth` counts the calls of the path from 1. */
async function serve(handlers: Readonly<Record<string, Handler>>): Promise<SkyClient> {
  const counts = new Map<string, number>();
  const server = createServer((request, response) => {
    const path = (request.url ?? "").split("?")[0] ?? "";
    const nth = (counts.get(path) ?? 0) + 1;
    counts.set(path, nth);
    response.setHeader("X-SkyPilot-API-Version", "62");
    handlers[path]?.(request, response, nth);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  // Waiting for the next attempt takes no time here.
  const clock = { ...systemClock, sleep: () => Promise.resolve() };
  return new SkyClient({
    endpoint: `http://127.0.0.1:${port}`,
    env: { SKYPILOT_USER_ID: "abcd1234", USER: "alice" },
    clock,
  });
}

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

function accept(id: string, ours = true): Handler {
  return (_request, response) => {
    if (ours) response.setHeader("X-SkyPilot-Server", "ts");
    response.setHeader("X-Skypilot-Request-ID", id);
    response.end("null");
  };
}

const payload = { request_id: "r1", name: "sky.check", status: "SUCCEEDED", return_value: '"done"', error: "null" };

async function textOf(client: SkyClient): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const event of client.check().events()) if (event.kind === "text") chunks.push(event.bytes);
  return Buffer.concat(chunks).toString("utf8");
}

describe("a stream whose connection breaks", () => {
  const log = "first line\nsecond line\nthird line\n";
  const heartbeat = '<sky-payload>"<heartbeat></heartbeat>"</sky-payload>\n';

  test("goes on at the missing byte on our server", async () => {
    const offsets: (string | null)[] = [];
    const client = await serve({
      "/check": accept("r1"),
      "/api/stream": (request, response, nth) => {
        const query = new URL(request.url ?? "", "http://x").searchParams;
        const offset = Number(query.get("offset"));
        offsets.push(query.get("offset"));
        response.setHeader("X-SkyPilot-Log-Offset", String(offset));
        const rest = log.slice(offset);
        if (nth === 3) response.end(rest);
        else response.write(heartbeat + rest.slice(0, 8), () => response.destroy());
      },
    });
    expect(await textOf(client)).toBe(log);
    expect(offsets).toEqual(["0", "8", "16"]);
    await client.close();
  });

  test("is replayed by a server that knows no offsets, and what was passed on is left out", async () => {
    const client = await serve({
      "/check": accept("r1", false),
      "/api/stream": (request, response, nth) => {
        expect(request.url).not.toContain("offset");
        if (nth === 3) response.end(log);
        else response.write(log.slice(0, nth * 9), () => response.destroy());
      },
    });
    expect(await textOf(client)).toBe(log);
    await client.close();
  });

  test("ends with the server's answer when that is no broken connection", async () => {
    const client = await serve({
      "/check": accept("r1"),
      "/api/stream": (_request, response) => void response.writeHead(404).end('{"detail":"Request \'r1\' not found"}'),
    });
    await expect(textOf(client)).rejects.toThrow("Request 'r1' not found");
    await client.close();
  });
});

describe("the result of a request", () => {
  test("is waited for over broken connections", async () => {
    const client = await serve({
      "/check": accept("r1"),
      "/api/get": (_request, response, nth) => {
        if (nth < 3) response.destroy();
        else response.end(JSON.stringify(payload));
      },
    });
    expect(await client.check()).toBe("done");
    await client.close();
  });

  test("errors are rebuilt by their class, with the hint", async () => {
    const error = JSON.stringify({
      object: "gAROLg==",
      type: "ClusterDoesNotExist",
      message: "No c.",
      hint: "sky status",
    });
    const client = await serve({
      "/check": accept("r1"),
      "/api/get": (_request, response) =>
        void response.writeHead(500).end(JSON.stringify({ detail: { ...payload, status: "FAILED", error } })),
    });
    const failure = await client.check().catch((caught: unknown) => caught);
    expect(failure).toBeInstanceOf(ClusterDoesNotExistError);
    expect(failure).toMatchObject({ message: "No c.", hint: "sky status" });
    await client.close();
  });

  test("a cancelled request and one that nobody knows", async () => {
    const client = await serve({
      "/check": accept("r1"),
      "/api/get": (_request, response, nth) => {
        if (nth === 1) response.end(JSON.stringify({ ...payload, status: "CANCELLED" }));
        else response.writeHead(404).end("{}");
      },
    });
    await expect(client.check().result()).rejects.toBeInstanceOf(RequestCancelledError);
    await expect(client.check().result()).rejects.toBeInstanceOf(RequestNotFoundError);
    await client.close();
  });

  test("an abort ends the waiting and leaves the request alone", async () => {
    const paths: string[] = [];
    const client = await serve({
      "/check": accept("r1"),
      "/api/get": (request) => void paths.push(request.url ?? ""),
      "/api/cancel": (request, response) => {
        paths.push(request.url ?? "");
        response.end("null");
      },
    });
    const controller = new AbortController();
    const request = client.check({ signal: controller.signal });
    await request.id;
    const result = request.result();
    controller.abort(new Error("enough"));
    await expect(result).rejects.toThrow("enough");
    expect(paths).not.toContain("/api/cancel");
    const unwanted = new AbortController();
    const wanted = client.check({ signal: unwanted.signal, abortBehavior: "cancel" });
    await wanted.id;
    unwanted.abort(new Error("enough"));
    await wanted.result().catch(() => undefined);
    await expect.poll(() => paths).toContain("/api/cancel");
    await client.close();
  });

  test("a lost answer to a launch is asked for again under the same key", async () => {
    const keys: unknown[] = [];
    const client = await serve({
      "/check": accept("r0"),
      "/down": (request, response, nth) => {
        keys.push(request.headers["x-skypilot-idempotency-key"]);
        if (nth === 1) response.destroy();
        else accept("r1")(request, response, nth);
      },
    });
    await client.check().id;
    expect(await client.down("c").id).toBe("r1");
    expect(keys).toHaveLength(2);
    expect(keys[0]).toBe(keys[1]);
    await client.close();
  });

  test("so is the very first call, when the server turns out to know the key; another server's is not", async () => {
    for (const isOurs of [true, false]) {
      let calls = 0;
      const client = await serve({
        "/api/health": (_request, response) =>
          void response.writeHead(200, isOurs ? { "X-SkyPilot-Server": "ts" } : {}).end("{}"),
        "/down": (request, response, nth) => {
          calls = nth;
          if (nth === 1) response.destroy();
          else accept("r1")(request, response, nth);
        },
      });
      const id = client.down("c").id;
      if (isOurs) expect(await id).toBe("r1");
      else await expect(id).rejects.toThrow("Could not connect to SkyPilot API server");
      expect(calls).toBe(isOurs ? 2 : 1);
      await client.close();
    }
  });

  test("a busy server is asked again", async () => {
    const client = await serve({
      "/check": (request, response, nth) => {
        if (nth === 1) response.writeHead(503).end('{"detail":"busy"}');
        else accept("r1")(request, response, nth);
      },
    });
    expect(await client.check().id).toBe("r1");
    await client.close();
  });

  test("an old server and one that is none are told apart", async () => {
    const old = await serve({
      "/check": (_request, response) => void response.writeHead(200, { "X-SkyPilot-API-Version": "20" }).end("null"),
    });
    await expect(old.check().id).rejects.toThrow("Your SkyPilot API server version is too old");
    const none = await serve({
      "/check": (_request, response) => void response.end("<html>"),
    });
    await expect(none.check().id).rejects.toThrow("is not a SkyPilot API server");
    await old.close();
    await none.close();
  });
});
