import { readFileSync } from "node:fs";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { Socket } from "node:net";
import { WebSocket } from "ws";
import { OperationFailedError } from "../shared/errors.ts";

const OPEN_TIMEOUT_MS = 10_000;
/** Ends the idle times that proxies on the way dislike, and shows when the other end is gone. */
const PING_MS = 10_000;
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

export interface StreamPlace {
  /** `wss://ssmmessages.<region>.amazonaws.com/v1/data-channel/…` */
  readonly url: string;
  /** A signature, where the URL has none. */
  readonly headers: Readonly<Record<string, string>>;
  /** Certificates that are trusted instead of the usual ones (AWS_CA_BUNDLE). */
  readonly caFile?: string;
}

export interface SocketEvents {
  message(bytes: Uint8Array): void;
  /** The connection is gone; said once. */
  closed(reason: string): void;
}

/** An open WebSocket. */
export interface StreamSocket {
  readonly socket: WebSocket;
  /** Sends a message; those of one turn of the event loop leave together. */
  send(message: Uint8Array | string): void;
}

/** Opens a WebSocket, through the proxy that the variables name. Throws OperationFailedError. */
export async function openSocket(
  place: StreamPlace,
  events: SocketEvents,
  options: { readonly env: Readonly<Record<string, string | undefined>>; readonly signal: AbortSignal },
): Promise<StreamSocket> {
  const ca = place.caFile === undefined ? {} : { ca: readFileSync(place.caFile, "utf8") };
  const settings = { keepAlive: false, proxyEnv: { ...options.env } };
  const socket = new WebSocket(place.url, {
    headers: place.headers,
    agent: place.url.startsWith("wss:") ? new HttpsAgent({ ...settings, ...ca }) : new HttpAgent(settings),
    perMessageDeflate: false,
    handshakeTimeout: OPEN_TIMEOUT_MS,
    maxPayload: MAX_MESSAGE_BYTES,
  });
  const opened = Promise.withResolvers<void>();
  let last = "";
  socket.on("error", (error) => {
    last = error.message;
    opened.reject(failure(place, error));
  });
  let isOpen = false;
  let wire: Socket | undefined;
  socket.on("upgrade", (response) => (wire = response.socket));
  socket.on("open", () => {
    isOpen = true;
    opened.resolve();
  });
  const abort = (): void => socket.terminate();
  options.signal.addEventListener("abort", abort, { once: true });
  const stopPings = keepAlive(socket);
  socket.on("close", (code, reason) => {
    stopPings();
    options.signal.removeEventListener("abort", abort);
    const said = reason.toString() || last || `code ${code}`;
    opened.reject(failure(place, new Error(said)));
    if (isOpen) events.closed(said);
  });
  // Text has no place on a data channel; nothing is done with it.
  socket.on("message", (data: Buffer, isBinary) => {
    if (isBinary) events.message(data);
  });
  await opened.promise;
  return { socket, send: gatheredSend(socket, wire) };
}

/** Frames are small: one system call for each would cost more than all the rest. */
function gatheredSend(socket: WebSocket, wire: Socket | undefined): StreamSocket["send"] {
  let isGathering = false;
  return (message) => {
    // What cannot be sent now is sent again on the next connection.
    if (socket.readyState !== WebSocket.OPEN) return;
    if (!isGathering) {
      isGathering = true;
      wire?.cork();
      setImmediate(() => {
        isGathering = false;
        wire?.uncork();
      });
    }
    socket.send(message);
  };
}

/** Ends a connection whose other end no longer answers. */
function keepAlive(socket: WebSocket): () => void {
  let isAlive = true;
  const heard = (): void => void (isAlive = true);
  socket.on("pong", heard);
  socket.on("message", heard);
  const timer = setInterval(() => {
    // While we take nothing in ourselves, no answer can be seen.
    if (!isAlive && !socket.isPaused) socket.terminate();
    else if (socket.readyState === WebSocket.OPEN) {
      isAlive = false;
      socket.ping();
    }
  }, PING_MS);
  return () => clearInterval(timer);
}

function failure(place: StreamPlace, error: Error): OperationFailedError {
  const { host } = new URL(place.url);
  return new OperationFailedError(`No data channel of Session Manager could be opened at ${host}: ${error.message}`, {
    cause: error,
    hint: "Is the address reachable from here? A proxy is taken from HTTPS_PROXY.",
  });
}
