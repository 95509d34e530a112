import { readFileSync } from "node:fs";
import { request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import { configUnreadable, noNetwork } from "../errors.ts";
import type { HttpAgents } from "../../../core/ports/cloud.ts";
import { expandPath, variable, type AwsEnvironment } from "./environment.ts";
import { openHttpAgents } from "../../../platform/http-agents.ts";
import { networkDetail } from "../../../platform/network-error.ts";
import { patientDeadline } from "../../../shared/patient-deadline.ts";
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
  const ca = bundle === undefined ? undefined : readBundle(expandPath(bundle, environment));
  return openHttpAgents({ env: environment.env, keepAlive, maxSockets, ca });
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
  const deadline = patientDeadline(call.timeoutMs);
  const agent = isTls ? options.agents.https : options.agents.http;
  const settings: RequestOptions = {
    method: call.method,
    headers: {
      ...call.headers,
      ...(call.body === undefined ? {} : { "content-length": Buffer.byteLength(call.body) }),
    },
    signal: AbortSignal.any([deadline.signal, options.signal]),
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
    const detail = deadline.signal.aborted ? `no answer within ${call.timeoutMs / 1000} s` : networkDetail(error);
    throw noNetwork(url.host, detail, { cause: error });
  } finally {
    deadline.cancel();
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
