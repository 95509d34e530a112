import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { AccessPolicy } from "../guard.ts";
import { closeReason, isFramed } from "../../shared/wire/ssh-proxy.ts";
import { openDatabase } from "../../db/database.ts";
import { createUpgrades } from "./upgrades.ts";

let server: Server | undefined;
let close: () => Promise<void> = () => Promise.resolve();

afterEach(async () => {
  server?.closeAllConnections();
  server?.close();
  await close();
});

async function listen(policy: AccessPolicy): Promise<string> {
  const database = await openDatabase({ sqlite: ":memory:" });
  const agents = { connect: () => Promise.reject(new Error("no agent is asked")) };
  const onInternalError = (error: unknown): void => {
    throw error;
  };
  const upgrades = createUpgrades({ policy, db: database.db, agents, onInternalError });
  const made = createServer().on("upgrade", (...args) => upgrades.handle(...args));
  server = made;
  close = () => {
    upgrades.close();
    return database.close();
  };
  await new Promise<void>((resolve) => made.listen(0, "127.0.0.1", resolve));
  return `127.0.0.1:${(made.address() as AddressInfo).port}`;
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
  const host = await listen({ isLoopback: false, allowedHosts: [], token: "sky_0123456789abcdef" });
  expect(await knock(`ws://${host}${path}`)).toBe("HTTP 401");
  expect(await knock(`ws://${host}${path}`, { authorization: "Bearer wrong" })).toBe("HTTP 401");
  expect(await knock(`ws://${host}${path}`, { authorization: "Bearer sky_0123456789abcdef" })).toBe(
    "1008 Cluster 'nope' does not exist.",
  );
});

test("pages of other origins and names are kept out of a local server", async () => {
  const host = await listen(loopback);
  expect(await knock(`ws://${host}${path}`, { origin: "https://evil.example" })).toBe("HTTP 403");
  expect(await knock(`ws://${host}${path}`, { host: "evil.example" })).toBe("HTTP 403");
  expect(await knock(`ws://${host}/other`)).toBe("HTTP 404");
  expect(await knock(`ws://${host}${path}`, { origin: `http://${host}` })).toBe("1008 Cluster 'nope' does not exist.");
});

test("old clients send bare bytes; a reason fits into a close frame", () => {
  expect([null, "21", "22", "62"].map(isFramed)).toEqual([false, false, true, true]);
  expect(closeReason("short")).toBe("short");
  const long = closeReason("é".repeat(100));
  expect(Buffer.byteLength(long)).toBeLessThanOrEqual(123);
  expect(long).toMatch(/^é+\.\.\.$/);
});
