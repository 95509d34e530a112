import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { createFakeWorld, taskYaml, type FakeWorld } from "../../../test/fakes/fake-world.ts";
import { waitFor } from "../../../test/fakes/wait-for.ts";
import { launchOperation } from "../../core/clusters/launch.ts";
import { frame, SSH_PROXY } from "../../shared/wire/ssh-proxy.ts";
import { serveSshProxy, type SshProxyOptions } from "./tunnel.ts";

let world: FakeWorld;
let server: WebSocketServer;

beforeEach(async () => {
  world = await createFakeWorld();
  await world.run(launchOperation, { task: taskYaml("run: echo hi"), cluster_name: "c" });
});
afterEach(async () => {
  for (const client of server.clients) client.terminate();
  server.close();
  await world.close();
});

/** What the agent of the node gives and takes. */
interface Node {
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly send: (bytes: Uint8Array) => Promise<void>;
}

interface Connection {
  readonly client: WebSocket;
  /** The server's end of it. */
  readonly served: WebSocket;
  /** All that the client gets, and the code that it is closed with. */
  readonly heard: Promise<string>;
}

/** A client's connection to a node. */
async function connect(node: Node): Promise<Connection> {
  const stream = { ...node, start: Promise.resolve() };
  const agents = { connect: () => Promise.resolve({ open: () => stream }) } as unknown as SshProxyOptions["agents"];
  const onInternalError = (error: unknown): void => {
    throw error;
  };
  server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  const connected = once(server, "connection") as Promise<[WebSocket]>;
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const heard = hear(client);
  const [served] = await connected;
  const query = new URLSearchParams("cluster_name=c&worker=0&client_version=62");
  void serveSshProxy(served, query, { db: world.database.db, agents, onInternalError });
  if (client.readyState !== WebSocket.OPEN) await once(client, "open");
  return { client, served, heard };
}

async function hear(client: WebSocket): Promise<string> {
  let text = "";
  client.on("message", (message: Buffer) => (text += message.subarray(1).toString()));
  const [code] = (await once(client, "close")) as [number];
  return `${text}, ${code}`;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test("a node that takes no more still gives its last bytes", async () => {
  const isRefused = Promise.withResolvers<void>();
  async function* chunks(): AsyncGenerator<Uint8Array> {
    yield bytes("first ");
    await isRefused.promise;
    await new Promise((resolve) => setImmediate(resolve));
    yield bytes("last");
  }
  const send = (): Promise<void> => {
    isRefused.resolve();
    return Promise.reject(new Error("The stream has ended."));
  };
  const { client, heard } = await connect({ chunks: chunks(), send });
  client.send(frame(SSH_PROXY.data, bytes("typed")));
  expect(await heard).toBe("first last, 1000");
});

test("a ping that crosses the end of the connection is no error", async () => {
  const isPaused = Promise.withResolvers<void>();
  async function* chunks(): AsyncGenerator<Uint8Array> {
    await isPaused.promise;
    yield bytes("all");
  }
  const { client, served, heard } = await connect({ chunks: chunks(), send: () => Promise.resolve() });
  client.pause();
  isPaused.resolve();
  await waitFor("the server to close", () => served.readyState === WebSocket.CLOSING);
  client.send(frame(SSH_PROXY.ping, new Uint8Array(4)));
  await new Promise((resolve) => setTimeout(resolve, 20));
  client.resume();
  expect(await heard).toBe("all, 1000");
});
