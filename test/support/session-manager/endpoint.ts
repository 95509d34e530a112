import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { SessionManagerService, type ServiceOptions } from "./service.ts";

export interface Endpoint {
  readonly url: string;
  readonly service: SessionManagerService;
  close(): Promise<void>;
}

/** The service on a port of this machine. */
export async function openSessionManager(options: Omit<ServiceOptions, "streamUrl">): Promise<Endpoint> {
  let port = 0;
  const service = new SessionManagerService({ ...options, streamUrl: () => `ws://127.0.0.1:${port}` });
  const server = createServer((request, response) => {
    void readBody(request).then(async (body) => {
      const operation = String(request.headers["x-amz-target"]).split(".").at(-1) ?? "";
      const answer = await service.call(operation, JSON.parse(body) as Record<string, unknown>);
      response.writeHead(answer?.status ?? 404, { "content-type": "application/x-amz-json-1.1" });
      response.end(JSON.stringify(answer?.body ?? {}));
    });
  });
  server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) =>
    service.upgrade(request, socket, head),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
  return {
    url: `http://127.0.0.1:${port}`,
    service,
    close: async () => {
      service.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}
