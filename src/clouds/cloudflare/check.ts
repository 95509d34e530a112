import type { Capability, CheckResult, CloudContext } from "../../core/ports/cloud.ts";
import { isNetworkError, networkDetail } from "../../platform/network-error.ts";
import { describeByCluster } from "../../shared/config/by-cluster.ts";
import { failureOf, isDenial } from "../../shared/sdk-failure.ts";
import { lendsKeys, openAgents, REGION, remoteIdentity, type CloudflareEnvironment } from "./access.ts";
import { CREDENTIALS_FILE, findAccount, R2SetupError, SET_KEYS, type R2Account } from "./account.ts";
import { isAboutKeys, wrongKeys } from "./refusals.ts";

const STORAGE: readonly Capability[] = ["storage"];
const FEW_BUCKETS =
  "Buckets cannot be listed with this R2 API token; only buckets that it names work, and none can be made (that takes Admin Read & Write).";

/** A check has to end, also where nobody answers. */
const TIMES = { connectionTimeout: 5000, requestTimeout: 10_000, throwOnRequestTimeout: true } as const;

/** What `sky check` says of R2: always asks R2, so that keys that were taken back show. */
export async function checkCloudflare(environment: CloudflareEnvironment, context: CloudContext): Promise<CheckResult> {
  try {
    const account = findAccount(environment.home);
    const answer = await askR2(account, environment, context.signal);
    if (answer.kind === "problem") return disabled(answer.text);
    const hints = answer.kind === "some" ? [{ capabilities: STORAGE, text: FEW_BUCKETS }] : [];
    return { enabled: STORAGE, reasons: [], hints, details: detailsOf(account, context) };
  } catch (error) {
    context.signal.throwIfAborted();
    if (!(error instanceof R2SetupError)) throw error;
    return disabled(error.hint === undefined ? error.message : `${error.message} ${error.hint}`);
  }
}

function disabled(text: string): CheckResult {
  return { enabled: [], reasons: [{ capabilities: STORAGE, text }], details: [] };
}

/** Whether R2 takes the keys, and for which buckets: `some` are those that a token names. */
type Answer = { readonly kind: "all" | "some" } | { readonly kind: "problem"; readonly text: string };

async function askR2(account: R2Account, environment: CloudflareEnvironment, signal: AbortSignal): Promise<Answer> {
  const { ListBucketsCommand, S3Client } = await import("@aws-sdk/client-s3");
  const { endpoint, accessKeyId, secretAccessKey } = account;
  const agents = openAgents(environment);
  const client = new S3Client({
    region: REGION,
    endpoint,
    credentials: { accessKeyId, secretAccessKey: secretAccessKey.reveal() },
    maxAttempts: 2,
    forcePathStyle: true,
    requestHandler: { httpAgent: agents.http, httpsAgent: agents.https, ...TIMES },
  });
  try {
    await client.send(new ListBucketsCommand({}), { abortSignal: signal });
    return { kind: "all" };
  } catch (error) {
    signal.throwIfAborted();
    const failure = failureOf(error);
    const isRefusal = failure !== undefined && isDenial(failure) && !isAboutKeys(failure);
    return isRefusal ? { kind: "some" } : { kind: "problem", text: problemOf(error, endpoint) };
  } finally {
    client.destroy();
  }
}

function problemOf(error: unknown, endpoint: string): string {
  if (isNetworkError(error)) {
    return (
      `${new URL(endpoint).host} cannot be reached: ${networkDetail(error)}. ` +
      "Check the account ID in ~/.cloudflare/accountid and the network of the API server's machine (DNS, proxy, firewall), then run: sky check cloudflare"
    );
  }
  const failure = failureOf(error);
  if (failure === undefined) return String(error);
  if (isAboutKeys(failure)) return `${wrongKeys(failure)} Run the following command:\n      $ ${SET_KEYS}`;
  return `R2 at ${endpoint}: [${failure.name}] ${failure.message}`;
}

function detailsOf({ accountId, endpoint }: R2Account, context: CloudContext): readonly string[] {
  const wayOf = (identity: string | undefined): string =>
    lendsKeys(identity)
      ? "everywhere by the R2 API token itself (cloudflare.remote_identity: LOCAL_CREDENTIALS)"
      : "everywhere by temporary credentials, cut down to the bucket";
  return [
    `Account: ${accountId}`,
    `Credentials: keys of ${CREDENTIALS_FILE}, profile r2, do not expire`,
    `Buckets: R2 at ${endpoint}`,
    ...describeByCluster("Mounted buckets", remoteIdentity(context), wayOf),
  ];
}
