import type { EC2Client } from "@aws-sdk/client-ec2";
import type { IAMClient } from "@aws-sdk/client-iam";
import type { ServiceQuotasClient } from "@aws-sdk/client-service-quotas";
import type { SSMClient } from "@aws-sdk/client-ssm";
import type { Clock } from "../../../shared/clock.ts";
import { orAborted } from "../../../shared/or-aborted.ts";
import type { AwsClients } from "../clients.ts";
import { classify } from "./failures.ts";

/** A call to EC2 is repeated this often while AWS is too busy to answer it: about half a minute. */
const ATTEMPTS = 12;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;

/** What every call about nodes of one region uses. */
export interface Region {
  readonly name: string;
  /** 12 digits. */
  readonly account: string;
  /** ARN of the caller. */
  readonly principal: string;
  readonly clients: AwsClients;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** 0 ≤ n < 1; spreads repeated calls over time. */
  readonly random: () => number;
  /** Shows a line to the user who waits. */
  readonly say: (line: string) => void;
}

export interface Http {
  readonly abortSignal: AbortSignal;
}

/**
 * Makes a call to EC2, and again while AWS is busy or does not answer. Only for calls that may be repeated: those that read, and those
 * that EC2 makes idempotent.
 */
export function withEc2<T>(region: Region, call: (ec2: EC2Client, http: Http) => Promise<T>): Promise<T> {
  return repeat(region, async (http) => call(await region.clients.ec2(region.name), http));
}

/** The same for IAM, which has no regions. */
export function withIam<T>(region: Region, call: (iam: IAMClient, http: Http) => Promise<T>): Promise<T> {
  return repeat(region, async (http) => call(await region.clients.iam(), http));
}

/** The same for Systems Manager. */
export function withSsm<T>(region: Region, call: (ssm: SSMClient, http: Http) => Promise<T>): Promise<T> {
  return repeat(region, async (http) => call(await region.clients.ssm(region.name), http));
}

/** The same for Service Quotas. */
export function withQuotas<T>(
  region: Region,
  call: (quotas: ServiceQuotasClient, http: Http) => Promise<T>,
): Promise<T> {
  return repeat(region, async (http) => call(await region.clients.quotas(region.name), http));
}

async function repeat<T>(region: Region, call: (http: Http) => Promise<T>): Promise<T> {
  const { signal, clock } = region;
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    try {
      return await orAborted(call({ abortSignal: signal }), signal);
    } catch (error) {
      signal.throwIfAborted();
      const kind = classify(error);
      if ((kind !== "transient" && kind !== "no-answer") || attempt >= ATTEMPTS) throw error;
    }
    await clock.sleep(pauseMs(attempt, region.random()), { signal });
  }
}

/** Doubles with each attempt, and lies anywhere in the upper half. */
export function pauseMs(attempt: number, random: number): number {
  const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - 1));
  return Math.round(longest * (0.5 + random / 2));
}

/** Reads a list to its end. */
export async function collect<Page, T>(
  pages: AsyncIterable<Page>,
  pick: (page: Page) => T[] | undefined,
): Promise<T[]> {
  const found: T[] = [];
  for await (const page of pages) found.push(...(pick(page) ?? []));
  return found;
}

/** The code of an error of AWS; "" for anything else. */
export function codeOf(error: unknown): string {
  return classify(error) === undefined || !(error instanceof Error) ? "" : error.name;
}
