import type { Capability, CheckResult } from "../../core/ports/cloud.ts";
import { SkyError } from "../../shared/errors.ts";
import type { AuthSession } from "./auth/auth-session.ts";
import { isNetworkError, networkDetail } from "../../platform/network-error.ts";
import type { AwsClients, AwsSession } from "./clients.ts";
import { failureOf } from "../../shared/sdk-failure.ts";
import { renderReason, noNetwork, type AwsAuthError } from "./errors.ts";

/** Where a server other than AWS's own has the buckets of a session; undefined where they are at AWS, or at a stand-in for all of it. */
export function storeApart(session: Pick<AwsSession, "endpoint">): string | undefined {
  const endpoint = session.endpoint("s3");
  return endpoint === undefined || endpoint === session.endpoint("sts") || isAmazons(endpoint) ? undefined : endpoint;
}

/** Such as an endpoint of S3 in a VPC. */
function isAmazons(endpoint: string): boolean {
  return /\.amazonaws\.com(?:\.cn)?$/u.test(URL.parse(endpoint)?.hostname ?? "");
}

/**
 * What `check` says of keys that STS does not know, where a server of its own has the buckets: it alone decides about storage.
 * Undefined where there is no such server, or where it refuses the keys just as AWS does.
 */
export async function checkStoreAlone(
  auth: AuthSession,
  wanted: readonly Capability[],
  tried: { readonly clients: AwsClients; readonly refusal: AwsAuthError },
): Promise<CheckResult | undefined> {
  const endpoint = auth.session.endpoint("s3");
  if (endpoint === undefined || !wanted.includes("storage")) return undefined;
  const problem = await storeProblem(endpoint, tried.clients);
  const isApart = storeApart(auth.session) !== undefined;
  // At a URL for all services the server may stand in for all of AWS, and be in trouble for the moment.
  if (!isApart && (problem !== undefined || isInTrouble(tried.refusal))) return undefined;
  const others = wanted.filter((capability) => capability !== "storage");
  const { refusal } = tried;
  const words = refusal.failure === "wrong-key" ? "AWS does not know them." : refusal.message;
  const aws = `These credentials are for S3 at ${endpoint} alone, so there are no nodes on EC2. ${words}`;
  const own = { capabilities: ["storage"] as const, text: `S3 at ${endpoint}: ${problem}` };
  const rest = { capabilities: others, text: problem === undefined ? aws : renderReason(refusal) };
  return {
    enabled: problem === undefined ? ["storage"] : [],
    reasons: [...(problem === undefined ? [] : [own]), ...(others.length === 0 ? [] : [rest])],
    details: problem === undefined ? [`Buckets: S3 at ${endpoint}, without an AWS account`] : [],
  };
}

/** Whether what STS says is no answer to the call: it was made too often, or the server failed. */
function isInTrouble({ cause }: AwsAuthError): boolean {
  const status = failureOf(cause)?.httpStatus ?? 0;
  return status === 429 || (status >= 500 && status !== 501);
}

/** Undefined when the server takes the keys. Which buckets they may list is no matter. */
async function storeProblem(endpoint: string, clients: AwsClients): Promise<string | undefined> {
  const { ListBucketsCommand } = await import("@aws-sdk/client-s3");
  try {
    await (await clients.s3()).send(new ListBucketsCommand({}));
    return undefined;
  } catch (error) {
    if (error instanceof SkyError && error.code === "PERMISSION_DENIED") return undefined;
    if (isNetworkError(error)) return renderReason(noNetwork(new URL(endpoint).host, networkDetail(error)));
    return error instanceof Error ? `[${error.name}] ${error.message}` : String(error);
  }
}
