import type { S3Client, S3ClientConfig } from "@aws-sdk/client-s3";
import type { ServiceAccess } from "../../core/ports/cloud.ts";
import { SigningHash } from "./signing-hash.ts";
import { sendMd5OfDeletes } from "./md5-deletes.ts";

/** Connections to one endpoint: enough to hide its latency with small objects. */
const MAX_SOCKETS = 64;

/** Destroying the client destroys the connections. */
function handlerOf(access: ServiceAccess): NonNullable<S3ClientConfig["requestHandler"]> {
  const agents = access.openAgents?.();
  if (agents !== undefined) return { httpAgent: agents.http, httpsAgent: agents.https };
  return { httpsAgent: { maxSockets: MAX_SOCKETS }, httpAgent: { maxSockets: MAX_SOCKETS } };
}

/** The keys are never used: nothing is signed. */
const UNSIGNED: Pick<S3ClientConfig, "credentials" | "signer"> = {
  credentials: { accessKeyId: "nobody", secretAccessKey: "nothing" },
  signer: { sign: (request) => Promise.resolve(request) },
};

/**
 * Opens a client for one region. Refusals of its calls are explained by the cloud that the keys come from. `clockOffsetMs`: by how much this
 * machine's clock was found to be behind the server's.
 */
export async function openS3(access: ServiceAccess, region: string, clockOffsetMs = 0): Promise<S3Client> {
  const { S3Client } = await import("@aws-sdk/client-s3");
  const config: S3ClientConfig = {
    region,
    ...(access.isAnonymous === true ? UNSIGNED : { credentials: () => access.credentials() }),
    maxAttempts: 5,
    systemClockOffset: clockOffsetMs,
    // A bucket in another region than expected is found there, instead of failing with a redirect.
    followRegionRedirects: true,
    requestHandler: handlerOf(access),
    sha256: SigningHash,
    // Without TLS content is signed by its SHA-256, which makes other sums of it needless.
    ...(access.endpoint?.startsWith("http:") === true ? { requestChecksumCalculation: "WHEN_REQUIRED" } : {}),
    // Servers other than AWS's own seldom have a host name for each bucket.
    ...(access.endpoint === undefined ? {} : { endpoint: access.endpoint, forcePathStyle: true }),
  };
  const client = new S3Client(config);
  if (access.isApart === true) sendMd5OfDeletes(client);
  access.explainRefusals(client, region);
  return client;
}
