import type { Preemption } from "../../shared/agent/protocol.ts";

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html */
const EC2_METADATA = "http://169.254.169.254";
const TOKEN_SECONDS = 21_600;
const ANSWER_MS = 2000;

/** Asks what the node's provider has announced; undefined when nothing. */
export type ReadNotice = (signal: AbortSignal) => Promise<Preemption | undefined>;

/**
 * Reads EC2's notices by version 2 of its instance metadata:
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html and `rebalance-recommendations.html`.
 * Rejects when the service does not answer.
 */
export function ec2Notices(endpoint: string = EC2_METADATA): ReadNotice {
  let token: string | undefined;
  const ask = async (path: string, signal: AbortSignal): Promise<unknown> => {
    token ??= await takeToken(endpoint, signal);
    const headers = { "x-aws-ec2-metadata-token": token };
    const response = await send(`${endpoint}/latest/meta-data/${path}`, { headers }, signal);
    const text = await response.text();
    if (response.status === 404) return undefined;
    // The next look takes a new one.
    if (response.status === 401) token = undefined;
    if (!response.ok) throw new Error(`instance metadata answered ${response.status} for ${path}`);
    return JSON.parse(text);
  };
  return async (signal) => {
    const interruption = timeOf(await ask("spot/instance-action", signal), "time");
    if (interruption !== undefined) return { kind: "interruption", atMs: interruption };
    const rebalance = timeOf(await ask("events/recommendations/rebalance", signal), "noticeTime");
    return rebalance === undefined ? undefined : { kind: "rebalance", atMs: rebalance };
  };
}

async function takeToken(endpoint: string, signal: AbortSignal): Promise<string> {
  const headers = { "x-aws-ec2-metadata-token-ttl-seconds": String(TOKEN_SECONDS) };
  const response = await send(`${endpoint}/latest/api/token`, { method: "PUT", headers }, signal);
  const text = await response.text();
  if (!response.ok) throw new Error(`instance metadata answered ${response.status} for a token`);
  return text;
}

async function send(url: string, init: RequestInit, signal: AbortSignal): Promise<Response> {
  try {
    return await fetch(url, { ...init, signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]) });
  } catch (error) {
    // The error of fetch itself says nothing.
    const { cause = error } = error as Error;
    throw new Error(`${url} does not answer: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause: error,
    });
  }
}

function timeOf(answer: unknown, field: string): number | undefined {
  if (typeof answer !== "object" || answer === null) return undefined;
  const time = Date.parse(String((answer as Readonly<Record<string, unknown>>)[field]));
  return Number.isNaN(time) ? undefined : time;
}
