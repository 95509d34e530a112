import type http from "node:http";
import type { Readable, Writable } from "node:stream";
import { WebSocket } from "ws";
import {
  ApiServerConnectionError,
  OperationFailedError,
  PermissionDeniedError,
  type SkyError,
} from "../shared/errors.ts";
import { frame, SSH_PROXY, SSH_PROXY_NODE_PATH, SSH_PROXY_REFUSED } from "../shared/wire/ssh-proxy.ts";
import { API_VERSION } from "./version.ts";

export interface SshTunnelTarget {
  readonly cluster: string;
  /** Position of the node in the cluster. */
  readonly node: number;
  readonly input: Readable;
  readonly output: Writable;
}

interface SshTunnelOptions extends SshTunnelTarget {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly agent: http.Agent;
}

/** Without traffic, proxies on the way close a connection after a minute or so. */
const PING_MS = 10_000;
const OPEN_TIMEOUT_MS = 30_000;
/** Messages that may wait in the socket before the input is asked to wait. */
const HIGH_WATER_BYTES = 1024 * 1024;

/** Carries input and output to the SSH server of a node, until either ends. Throws what the API server says against it. */
export async function runSshTunnel(options: SshTunnelOptions): Promise<void> {
  const base = options.url.replace(/^http/, "ws").replace(/\/$/, "");
  const query = new URLSearchParams({
    cluster_name: options.cluster,
    worker: String(options.node),
    client_version: String(API_VERSION),
  });
  const socket = new WebSocket(`${base}${SSH_PROXY_NODE_PATH}?${query.toString()}`, {
    headers: options.headers,
    agent: options.agent,
    perMessageDeflate: false,
    handshakeTimeout: OPEN_TIMEOUT_MS,
  });
  const ended = Promise.withResolvers<void>();
  let pings = 0;
  const timer = setInterval(() => {
    pings += 1;
    const id = new DataView(new ArrayBuffer(4));
    id.setUint32(0, pings);
    if (socket.readyState === WebSocket.OPEN) socket.send(frame(SSH_PROXY.ping, new Uint8Array(id.buffer)));
  }, PING_MS);
  socket.on("unexpected-response", (_request, response) => ended.reject(refusal(response, options.url)));
  socket.on("error", (error) => ended.reject(unreachable(error, options.url)));
  socket.on("close", (code, reason) => {
    if (code === SSH_PROXY_REFUSED) ended.reject(new OperationFailedError(reason.toString()));
    else ended.resolve();
  });
  socket.on("open", () => passInput(socket, options.input));
  socket.on("message", (message: Buffer) => {
    if (message[0] !== SSH_PROXY.data || options.output.write(message.subarray(1))) return;
    socket.pause();
    options.output.once("drain", () => socket.resume());
  });
  // ssh is gone.
  options.output.on("error", () => socket.terminate());
  try {
    await ended.promise;
  } finally {
    clearInterval(timer);
    socket.terminate();
    options.input.destroy();
  }
}

function passInput(socket: WebSocket, input: Readable): void {
  input.on("data", (bytes: Buffer) => {
    socket.send(frame(SSH_PROXY.data, bytes), () => {
      if (input.isPaused() && socket.bufferedAmount < HIGH_WATER_BYTES) input.resume();
    });
    if (socket.bufferedAmount >= HIGH_WATER_BYTES) input.pause();
  });
  input.once("end", () => socket.close(1000));
}

function refusal(response: http.IncomingMessage, url: string): SkyError {
  response.resume();
  if (response.statusCode === 401 || response.statusCode === 403) {
    return new PermissionDeniedError(`The API server at ${url} refused the login.`, {
      hint: `sky api login -e ${url}`,
    });
  }
  return new ApiServerConnectionError(`The API server at ${url} does not carry SSH (HTTP ${response.statusCode}).`);
}

function unreachable(error: Error, url: string): ApiServerConnectionError {
  return new ApiServerConnectionError(`Could not connect to SkyPilot API server at ${url} (${error.message}).`, {
    cause: error,
  });
}
