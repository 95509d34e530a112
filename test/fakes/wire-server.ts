/** A tiny API server that speaks the wire: operations are answered by functions of the test, with a log and a result. */
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What an operation does: its log, and its result or error. */
export interface Outcome {
  readonly log?: string;
  /** The body of the answer itself, for an operation that streams at once. */
  readonly body?: string;
  readonly value?: unknown;
  readonly error?: { readonly type: string; readonly message: string; readonly hint?: string; readonly code?: string };
  readonly status?: "SUCCEEDED" | "CANCELLED" | "RUNNING";
}

export interface Call {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly body: Readonly<Record<string, unknown>>;
}

/** Answers one path: as an operation (an Outcome), or by itself when it writes the response. */
export type Handler = (call: Call, response: ServerResponse) => Outcome | undefined | Promise<Outcome | undefined>;

export interface WireServerOptions {
  /** By `METHOD /path`. */
  readonly routes?: Readonly<Record<string, Handler>>;
  /** Without our additions to the wire, as the original server is. */
  readonly official?: boolean;
}

const HEALTH = {
  status: "healthy",
  api_version: "62",
  version: "0.14.1",
  version_on_disk: "0.14.1",
  commit: "7e595970a806dcc9eefadf459f399edf1733e962",
  basic_auth_enabled: false,
  user: null,
};

export class WireServer {
  readonly calls: Call[] = [];
  readonly routes: Record<string, Handler>;
  readonly #server: Server;
  readonly #official: boolean;
  readonly #requests = new Map<string, { name: string; outcome: Outcome; created: number }>();

  private constructor(options: WireServerOptions) {
    this.routes = { ...options.routes };
    this.#official = options.official ?? false;
    this.#server = createServer((request, response) => {
      void this.#answer(request, response).catch((error: unknown) => {
        response.writeHead(500).end(String(error));
      });
    });
  }

  static async start(options: WireServerOptions = {}): Promise<WireServer> {
    const server = new WireServer(options);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The bodies that a path got. */
  bodies(path: string): readonly Readonly<Record<string, unknown>>[] {
    return this.calls.filter((call) => call.path === path).map((call) => call.body);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://localhost");
    const id = headerText(request.headers["x-skypilot-idempotency-key"]) ?? randomUUID();
    response.setHeader("X-SkyPilot-API-Version", "62");
    response.setHeader("X-SkyPilot-Version", "0.14.1");
    response.setHeader("X-Skypilot-Request-ID", id);
    if (!this.#official) response.setHeader("X-SkyPilot-Server", "ts");
    const call: Call = {
      method: request.method ?? "GET",
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body: await readBody(request),
    };
    this.calls.push(call);
    const key = `${call.method} ${call.path}`;
    const handler = this.routes[key];
    if (handler === undefined) {
      this.#builtin(key, call, response);
      return;
    }
    const outcome = await handler(call, response);
    if (outcome === undefined) return;
    this.#requests.set(id, { name: `sky.${call.path.slice(1)}`, outcome, created: 1000 });
    response.end(outcome.body ?? "null");
  }

  #builtin(key: string, call: Call, response: ServerResponse): void {
    if (key === "GET /api/health") {
      response.end(JSON.stringify(HEALTH));
      return;
    }
    const found = this.#requests.get(call.query.get("request_id") ?? "");
    if (key === "GET /api/stream" && found !== undefined) {
      const log = Buffer.from(found.outcome.log ?? "");
      const offset = Number(call.query.get("offset") ?? 0);
      if (!this.#official) response.setHeader("X-SkyPilot-Log-Offset", String(offset));
      response.end(log.subarray(offset));
      return;
    }
    if (key === "GET /api/get" && found !== undefined) {
      this.#answerGet(call.query.get("request_id") ?? "", found, response);
      return;
    }
    response.writeHead(404, { "Content-Type": "application/json" }).end(JSON.stringify({ detail: "Not Found" }));
  }

  #answerGet(id: string, found: { name: string; outcome: Outcome; created: number }, response: ServerResponse): void {
    const { outcome, name, created } = found;
    const payload = {
      request_id: id,
      name,
      entrypoint: "gAROLg==",
      request_body: "gAROLg==",
      status: outcome.error === undefined ? (outcome.status ?? "SUCCEEDED") : "FAILED",
      user_id: "abcd1234",
      created_at: created,
      pid: null,
      schedule_type: "short",
      return_value: JSON.stringify(outcome.value ?? null),
      error: JSON.stringify(outcome.error === undefined ? null : { object: "gAROLg==", ...outcome.error }),
    };
    if (outcome.error === undefined) response.end(JSON.stringify(payload));
    else response.writeHead(500).end(JSON.stringify({ detail: payload }));
  }
}

function headerText(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}

async function readBody(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  if (!String(request.headers["content-type"]).includes("json")) return { bytes };
  return JSON.parse(bytes.toString("utf8")) as Readonly<Record<string, unknown>>;
}

/** An operation that gives a value. */
export function gives(value: unknown, log = ""): Handler {
  return () => ({ value, log });
}

/** An operation that fails. */
export function fails(type: string, message: string, hint?: string): Handler {
  return () => ({ error: hint === undefined ? { type, message } : { type, message, hint } });
}

/** A control line of a log stream. */
export function control(text: string): string {
  return `<sky-payload>${JSON.stringify(text)}</sky-payload>\n`;
}
