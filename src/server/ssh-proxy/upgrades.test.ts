import { request } from "node:http";
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { AccessPolicy } from "../guard.ts";
import { listen, type NodeHandler } from "../listener.ts";
import { closeReason, isFramed } from "../../shared/wire/ssh-proxy.ts";
import { openDatabase } from "../../db/database.ts";
import { createUpgrades } from "./upgrades.ts";

let close: () => Promise<void> = () => Promise.resolve();

afterEach(() => close());

/** `loading`: the server listens, and takes WebSockets once it is over. */
async function start(policy: AccessPolicy, loading: Promise<void> = Promise.resolve()): Promise<string> {
  const database = await openDatabase({ sqlite: ":memory:" });
  const agents = { connect: () => Promise.reject(new Error("no agent is asked")) };
  const onInternalError = (error: unknown): void => {
    throw error;
  };
  const upgrades = createUpgrades({ policy, db: database.db, agents, onInternalError });
  const handler: NodeHandler = (_request, response) => void response.end("a page");
  const { port, server } = await listen({
    host: "127.0.0.1",
    port: 0,
    policy,
    handler: loading.then(() => handler),
    upgrade: loading.then(() => upgrades.handle),
  });
  close = () => {
    upgrades.close();
    server.closeAllConnections();
    server.close();
    return database.close();
  };
  return `127.0.0.1:${port}`;
}

/** How the server ends a connection: the status of its answer, or the code and reason of the WebSocket. */
function knock(url: string, headers: Record<string, string> = {}): Promise<string> {
  return new Promise((resolve) => {
    const socket = new WebSocket(url, { headers });
    socket.on("unexpected-response", (_request, response) => {
      response.resume();
      resolve(`HTTP ${response.statusCode}`);
    });
    socket.on("close", (code, reason) => resolve(`${code} ${reason.toString()}`));
    socket.on("error", () => undefined);
  });
}

const loopback: AccessPolicy = { isLoopback: true, allowedHosts: [], token: undefined };
const path = "/slurm-job-ssh-proxy?client_version=62&worker=0&cluster_name=nope";

test("a WebSocket is let in by the rules of every other request", async () => {
  const host = await start({ isLoopback: false, allowedHosts: [], token: "sky_0123456789abcdef" });
  expect(await knock(`ws://${host}${path}`)).toBe("HTTP 401");
  expect(await knock(`ws://${host}${path}`, { authorization: "Bearer wrong" })).toBe("HTTP 401");
  expect(await knock(`ws://${host}${path}`, { authorization: "Bearer sky_0123456789abcdef" })).toBe(
    "1008 Cluster 'nope' does not exist.",
  );
});

test("pages of other origins and names are kept out of a local server", async () => {
  const host = await start(loopback);
  expect(await knock(`ws://${host}${path}`, { origin: "https://evil.example" })).toBe("HTTP 403");
  expect(await knock(`ws://${host}${path}`, { host: "evil.example" })).toBe("HTTP 403");
  expect(await knock(`ws://${host}/other`)).toBe("HTTP 404");
  expect(await knock(`ws://${host}${path}`, { origin: `http://${host}` })).toBe("1008 Cluster 'nope' does not exist.");
});

test("a WebSocket that comes while the server still loads waits for it", async () => {
  const loading = Promise.withResolvers<void>();
  const host = await start(loopback, loading.promise);
  const answer = knock(`ws://${host}${path}`);
  await new Promise((resolve) => setTimeout(resolve, 20));
  loading.resolve();
  expect(await answer).toBe("1008 Cluster 'nope' does not exist.");
});

test("an address that is none is not found", async () => {
  const host = await start(loopback);
  expect(await knock(`ws://${host}//`)).toBe("HTTP 404");
});

test("a client that offers HTTP/2 gets its answer by HTTP/1", async () => {
  const host = await start(loopback);
  const text = await new Promise<string>((resolve, reject) => {
    const call = request(`http://${host}/status`, { headers: { connection: "Upgrade", upgrade: "h2c" } });
    call.on("error", reject);
    call.on("response", (response) => response.setEncoding("utf8").on("data", resolve));
    call.end();
  });
  expect(text).toBe("a page");
});

test("old clients send bare bytes; a reason fits into a close frame", () => {
  expect([null, "21", "22", "62"].map(isFramed)).toEqual([false, false, true, true]);
  expect(closeReason("short")).toBe("short");
  const long = closeReason("é".repeat(100));
  expect(Buffer.byteLength(long)).toBeLessThanOrEqual(123);
  expect(long).toMatch(/^é+\.\.\.$/);
});
