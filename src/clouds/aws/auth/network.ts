import { readFileSync } from "node:fs";
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { configUnreadable, noNetwork } from "../errors.ts";
import type { HttpAgents } from "../../../core/ports/cloud.ts";
import { expandPath, variable, type AwsEnvironment } from "./environment.ts";
import type { ServerTime } from "./server-time.ts";

export interface HttpCall {
  readonly url: string;
  readonly method: "GET" | "POST" | "PUT";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** For the whole call, connecting included. */
  readonly timeoutMs: number;
  /** Metadata services are on this machine; no proxy leads there. */
  readonly isLocal?: boolean;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** Connection agents that follow HTTPS_PROXY, NO_PROXY and AWS_CA_BUNDLE of the caller's variables. */
export type Agents = HttpAgents;

/**
 * Opens them, with `keepAlive` for many calls to one service: whoever asks for that destroys them. Throws AwsAuthError when AWS_CA_BUNDLE
 * names no readable file.
 */
export function openAgents(
  environment: AwsEnvironment,
  { keepAlive = false, maxSockets = Infinity }: { readonly keepAlive?: boolean; readonly maxSockets?: number } = {},
): Agents {
  const bundle = variable(environment, "AWS_CA_BUNDLE");
  const ca = bundle === undefined ? {} : { ca: readBundle(expandPath(bundle, environment)) };
  const options = { keepAlive, maxSockets, proxyEnv: { ...environment.env } };
  return { http: new HttpAgent(options), https: new HttpsAgent({ ...options, ...ca }) };
}

function readBundle(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw configUnreadable(path, "AWS_CA_BUNDLE names it, but there is no such file", { cause: error });
  }
}

/** Sends one call. Throws AwsAuthError (`network`) when no answer comes; any status is an answer. */
export async function send(
  call: HttpCall,
  options: { readonly agents: Agents; readonly time: ServerTime; readonly signal: AbortSignal },
): Promise<HttpAnswer> {
  const url = new URL(call.url);
  const isTls = url.protocol === "https:";
  const deadline = AbortSignal.timeout(call.timeoutMs);
  const agent = isTls ? options.agents.https : options.agents.http;
  const settings: RequestOptions = {
    method: call.method,
    headers: {
      ...call.headers,
      ...(call.body === undefined ? {} : { "content-length": Buffer.byteLength(call.body) }),
    },
    signal: AbortSignal.any([deadline, options.signal]),
    ...(call.isLocal === true ? {} : { agent }),
  };
  try {
    const answer = await new Promise<HttpAnswer>((resolve, reject) => {
      const request = (isTls ? httpsRequest : httpRequest)(url, settings, (response) => {
        collect(response).then(resolve, reject);
      });
      request.on("error", reject);
      request.end(call.body);
    });
    if (call.isLocal !== true) options.time.observe(headerOf(answer, "date"));
    return answer;
  } catch (error) {
    options.signal.throwIfAborted();
    const detail = deadline.aborted ? `no answer within ${call.timeoutMs / 1000} s` : networkDetail(error);
    throw noNetwork(url.host, detail, { cause: error });
  }
}

async function collect(response: IncomingMessage): Promise<HttpAnswer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text: Buffer.concat(chunks).toString("utf8"),
  };
}

export function headerOf(answer: HttpAnswer, name: string): string | undefined {
  const value = answer.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

const DETAILS: Readonly<Record<string, string>> = {
  ENOTFOUND: "the name is not known (DNS)",
  EAI_AGAIN: "the name cannot be looked up (DNS)",
  ECONNREFUSED: "the connection is refused",
  ECONNRESET: "the connection was reset",
  EHOSTUNREACH: "there is no route",
  ENETUNREACH: "there is no network",
  ETIMEDOUT: "no answer in time",
  EPROTO: "it does not speak TLS",
  CERT_HAS_EXPIRED: "its certificate has expired",
};

/** Certificates that no known authority has signed: in most cases those of a company's proxy. */
const UNTRUSTED = /^(?:SELF_SIGNED|DEPTH_ZERO_SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET_ISSUER))/u;

/** Whether the error means that no answer came, whatever the server would have said. */
export function isNetworkError(error: unknown): boolean {
  const code = codeOf(error);
  const name = error instanceof Error ? error.name : "";
  return (
    name === "TimeoutError" ||
    Object.hasOwn(DETAILS, code) ||
    /^(?:ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|EPROTO|EPIPE)/u.test(code)
  );
}

/** Why no answer came, in words. */
export function networkDetail(error: unknown): string {
  const code = codeOf(error);
  if (error instanceof Error && error.name === "TimeoutError") return DETAILS["ETIMEDOUT"] ?? code;
  if (UNTRUSTED.test(code)) {
    return "its certificate is not trusted (to trust the one of a proxy: export AWS_CA_BUNDLE=<file>)";
  }
  return DETAILS[code] ?? (error instanceof Error ? error.message : String(error));
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "";
  const code: unknown = Reflect.get(error, "code");
  if (typeof code === "string") return code;
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  return codeOf(error.cause);
}
