import { timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { LentKeys } from "../../shared/agent/mounts.ts";

interface Held {
  /** Whoever knows it gets the keys. */
  readonly token: string;
  keys?: LentKeys;
}

/**
 * Gives each mount's keys to its program, which asks again before they end: the protocol of the container credentials of AWS's SDKs,
 * on the machine's own address. Keys are nowhere but in memory.
 */
export class KeysDoor {
  readonly #held = new Map<string, Held>();
  #server: Server | undefined;
  #port = 0;

  get port(): number {
    return this.#port;
  }

  /** Listens, at the port of an earlier agent when that is free: its programs go on asking there. */
  async open(port = 0): Promise<void> {
    if (this.#server !== undefined) return;
    const server = createServer((request, response) => this.#answer(request, response));
    server.keepAliveTimeout = 1000;
    this.#port = await listen(server, port).catch(() => listen(server, 0));
    server.unref();
    this.#server = server;
  }

  /** The variables by which a program finds its keys. */
  variables(id: string): Readonly<Record<string, string>> {
    return {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://127.0.0.1:${this.#port}/keys/${id}`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN: this.#held.get(id)?.token ?? "",
    };
  }

  /** Opens a place for a mount's keys; one that is there keeps what it has, also for a program that comes after another. */
  admit(id: string, token: string): void {
    const held = this.#held.get(id);
    if (held?.token !== token) this.#held.set(id, { ...held, token });
  }

  lend(id: string, keys: LentKeys): void {
    const held = this.#held.get(id);
    if (held !== undefined) held.keys = keys;
  }

  keysOf(id: string): LentKeys | undefined {
    return this.#held.get(id)?.keys;
  }

  forget(id: string): void {
    this.#held.delete(id);
  }

  close(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const held = this.#held.get(/^\/keys\/([0-9a-f]+)$/u.exec(request.url ?? "")?.[1] ?? "");
    if (held === undefined || !isSame(request.headers.authorization ?? "", held.token)) {
      response.writeHead(403).end();
      return;
    }
    if (held.keys === undefined) {
      response.writeHead(503).end();
      return;
    }
    const { accessKeyId, secretAccessKey, sessionToken, expiresAtMs } = held.keys;
    const answer = {
      AccessKeyId: accessKeyId,
      SecretAccessKey: secretAccessKey,
      ...(sessionToken === undefined ? {} : { Token: sessionToken }),
      ...(expiresAtMs === undefined ? {} : { Expiration: new Date(expiresAtMs).toISOString() }),
    };
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
  }
}

function isSame(given: string, wanted: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(wanted)];
  return one.length === other.length && timingSafeEqual(one, other);
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: "127.0.0.1", port }, () => {
      server.off("error", reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}
