import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { OperationFailedError } from "../shared/errors.ts";
import type { AccessPolicy } from "./guard.ts";
import { answerHealth } from "./health.ts";

export type NodeHandler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

export type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

export interface Listener {
  readonly port: number;
  readonly server: Server;
}

/**
 * Listens, answers the health check at once, and hands everything else to the handlers, which may still be loading. Without a handler
 * of upgrades they are requests like any other, and so are always those that offer HTTP/2 (`Upgrade: h2c`), as some clients' first do.
 * Throws OperationFailedError when the port is taken or not allowed.
 */
export async function listen(options: {
  readonly host: string;
  readonly port: number;
  readonly policy: AccessPolicy;
  readonly handler: Promise<NodeHandler>;
  /** Takes WebSockets. */
  readonly upgrade?: Promise<UpgradeHandler>;
}): Promise<Listener> {
  let ready: NodeHandler | undefined;
  options.handler.then(
    (handler) => (ready = handler),
    () => undefined,
  );
  const server = createServer(
    // Uploads and long polls have no total limit; a client that does not even send its headers does.
    {
      keepAliveTimeout: 75_000,
      headersTimeout: 30_000,
      requestTimeout: 0,
      noDelay: true,
      shouldUpgradeCallback: (request) => options.upgrade !== undefined && isWebSocket(request),
    },
    (request, response) => {
      if (request.url === "/api/health" && (request.method === "GET" || request.method === "HEAD")) {
        answerHealth(request, response, options.policy);
      } else if (ready !== undefined) {
        void ready(request, response);
      } else {
        options.handler.then(
          (handler) => handler(request, response),
          () => response.destroy(),
        );
      }
    },
  );
  const { upgrade } = options;
  if (upgrade !== undefined) {
    server.on("upgrade", (request, socket, head) => {
      // From here on Node leaves the socket's errors to us.
      socket.on("error", () => socket.destroy());
      upgrade.then(
        (handle) => handle(request, socket, head),
        () => socket.destroy(),
      );
    });
  }
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", (error) => reject(toListenError(error, options)));
  server.listen({ host: options.host, port: options.port, backlog: 1024 }, resolve);
  await promise;
  return { port: (server.address() as AddressInfo).port, server };
}

function isWebSocket(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === "websocket";
}

function toListenError(error: Error, options: { readonly host: string; readonly port: number }): Error {
  const code = "code" in error ? error.code : undefined;
  const place = `${options.host}:${options.port}`;
  if (code === "EADDRINUSE") {
    return new OperationFailedError(`Cannot listen on ${place}: another program uses this port.`, {
      cause: error,
      hint: `See which with \`ss -ltnp 'sport = :${options.port}'\`, or choose another port with SKYPILOT_API_SERVER_LOCAL_PORT.`,
    });
  }
  if (code === "EACCES" || code === "EADDRNOTAVAIL") {
    return new OperationFailedError(`Cannot listen on ${place}: ${error.message}.`, {
      cause: error,
      hint: "Choose a port above 1023 and an address of this machine.",
    });
  }
  return error;
}
