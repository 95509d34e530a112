import { STATUS_CODES, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { WebSocketServer } from "ws";
import { SSH_PROXY_HEAD_PATH, SSH_PROXY_NODE_PATH } from "../../shared/wire/ssh-proxy.ts";
import { checkRequest, isAuthorized, UNAUTHORIZED, type AccessPolicy, type Refusal } from "../guard.ts";
import { nodeHead } from "../health.ts";
import type { UpgradeHandler } from "../listener.ts";
import { serveSshProxy, type SshProxyOptions } from "./tunnel.ts";

export interface UpgradeOptions extends SshProxyOptions {
  readonly policy: AccessPolicy;
}

export interface Upgrades {
  readonly handle: UpgradeHandler;
  /** Ends every connection. */
  close(): void;
}

/** One message at most: ssh sends far smaller ones. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
const PATHS: ReadonlySet<string> = new Set([SSH_PROXY_HEAD_PATH, SSH_PROXY_NODE_PATH]);

/** Serves WebSockets, for callers that any other request of theirs would let in. */
export function createUpgrades(options: UpgradeOptions): Upgrades {
  let server: Promise<WebSocketServer> | undefined;
  const load = (): Promise<WebSocketServer> =>
    (server ??= import("ws").then(
      (ws) => new ws.WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE_BYTES, perMessageDeflate: false }),
    ));
  const accept = async (request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    const url = URL.parse(request.url ?? "/", "http://server");
    const refusal = refuse(request, url?.pathname ?? "", options.policy);
    if (refusal !== undefined || url === null) {
      answer(socket, refusal ?? NOT_FOUND);
      return;
    }
    const sockets = await load();
    sockets.handleUpgrade(request, socket, head, (client) => void serveSshProxy(client, url.searchParams, options));
  };
  return {
    handle: (request, socket, head) => {
      accept(request, socket, head).catch((error: unknown) => {
        options.onInternalError(error, "websocket");
        socket.destroy();
      });
    },
    close: () => {
      void server?.then((sockets) => {
        for (const client of sockets.clients) client.terminate();
      });
    },
  };
}

interface Answer {
  readonly status: number;
  readonly body: Refusal["body"];
}

const NOT_FOUND: Answer = { status: 404, body: { detail: "Not Found" } };

function refuse(request: IncomingMessage, path: string, policy: AccessPolicy): Answer | undefined {
  const head = nodeHead(request, path);
  const refusal = checkRequest(head, policy) ?? (isAuthorized(head, policy) ? undefined : UNAUTHORIZED);
  if (refusal !== undefined) return refusal;
  return PATHS.has(path) ? undefined : NOT_FOUND;
}

function answer(socket: Duplex, { status, body }: Answer): void {
  const text = JSON.stringify(body);
  const headers = `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close`;
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${headers}\r\n\r\n${text}`);
}
