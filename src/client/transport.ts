import http from "node:http";
import type { Readable } from "node:stream";
import type { Env } from "../platform/env.ts";
import { ApiServerConnectionError } from "../shared/errors.ts";

export interface TransportOptions {
  readonly url: string;
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, string>>;
  /** Where HTTP_PROXY, HTTPS_PROXY and NO_PROXY are read; loopback never goes through a proxy. */
  readonly env: Env;
}

export interface SendOptions {
  readonly query?: Readonly<Record<string, QueryValue>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is, chunked. */
  readonly body?: Readable | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** Time until the response headers; afterwards only the signal ends the call. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

type QueryValue = string | number | boolean | readonly string[] | undefined;

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: http.IncomingMessage;
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|0\.0\.0\.0|\[::1?\]|::1?)$/;

/** HTTP calls to one API server over kept connections. */
export class Transport {
  readonly #base: URL;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #env: Env;
  #agent: Promise<http.Agent> | undefined;

  constructor(options: TransportOptions) {
    try {
      this.#base = new URL(options.url);
    } catch (error) {
      throw new ApiServerConnectionError(`The API server endpoint '${options.url}' is not a URL.`, { cause: error });
    }
    this.#headers = options.headers;
    this.#env = options.env;
  }

  /** Sends a request and resolves with the head of the answer. Rejects with the socket's error, or with `TimeoutError`. */
  async send(method: "GET" | "POST", path: string, options: SendOptions = {}): Promise<Answer> {
    const agent = await this.agent();
    const request = http.request({
      protocol: this.#base.protocol,
      hostname: this.#base.hostname.replace(/^\[|\]$/g, ""),
      port: this.#base.port || (this.#base.protocol === "https:" ? 443 : 80),
      path: `${this.#base.pathname.replace(/\/$/, "")}${path}${toQuery(options.query)}`,
      method,
      agent,
      headers: { ...this.#headers, ...contentHeaders(options), ...options.headers },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    return await exchange(request, options);
  }

  /** Makes the connections; knows the user's proxies and certificates. */
  agent(): Promise<http.Agent> {
    return (this.#agent ??= this.#openAgent());
  }

  /** Closes the kept connections. */
  async close(): Promise<void> {
    const agent = await this.#agent;
    agent?.destroy();
  }

  async #openAgent(): Promise<http.Agent> {
    const proxyEnv = LOOPBACK.test(this.#base.hostname) ? {} : { proxyEnv: { ...this.#env } };
    const options = { keepAlive: true, noDelay: true, ...proxyEnv };
    if (this.#base.protocol !== "https:") return new http.Agent(options);
    const { makeHttpsAgent } = await import("./https-agent.ts");
    return makeHttpsAgent(options);
  }
}

function contentHeaders(options: SendOptions): Record<string, string> {
  if (options.json !== undefined) return { "content-type": "application/json" };
  if (options.body !== undefined) return { "content-type": "application/octet-stream" };
  return {};
}

function toQuery(query: SendOptions["query"]): string {
  const parts: string[] = [];
  for (const [key, value] of Object.entries(query ?? {})) {
    if (value === undefined) continue;
    const values = Array.isArray(value) ? (value as readonly string[]) : [String(value)];
    for (const each of values) parts.push(`${encodeURIComponent(key)}=${encodeURIComponent(each)}`);
  }
  return parts.length === 0 ? "" : `?${parts.join("&")}`;
}

function exchange(request: http.ClientRequest, options: SendOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { timeoutMs } = options;
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            const error = new Error(`No answer within ${timeoutMs} ms`);
            error.name = "TimeoutError";
            request.destroy(error);
          }, timeoutMs);
    request.once("response", (body) => {
      clearTimeout(timer);
      resolve({ status: body.statusCode ?? 0, headers: body.headers, body });
    });
    request.once("error", (error) => {
      clearTimeout(timer);
      reject(options.signal?.aborted === true ? (options.signal.reason as Error) : error);
    });
    if (options.json !== undefined) request.end(JSON.stringify(options.json));
    else if (options.body instanceof Uint8Array) request.end(options.body);
    else if (options.body !== undefined) {
      const { body } = options;
      body.once("error", (error: Error) => request.destroy(error));
      body.pipe(request);
    } else request.end();
  });
}

/** Reads the whole body as text. */
export async function readText(answer: Answer): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer.body) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

/** Drops the body, so that the connection can be used again. */
export function discard(answer: Answer): void {
  answer.body.resume();
}
