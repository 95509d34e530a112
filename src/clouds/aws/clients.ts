import type { EC2Client } from "@aws-sdk/client-ec2";
import type { IAMClient } from "@aws-sdk/client-iam";
import type { S3Client } from "@aws-sdk/client-s3";
import type { ServiceQuotasClient } from "@aws-sdk/client-service-quotas";
import type { SSMClient } from "@aws-sdk/client-ssm";
import type { STSClient } from "@aws-sdk/client-sts";
import type { HttpAgents } from "../../core/ports/cloud.ts";
import { onFailure } from "../../shared/sdk-failure.ts";
import { explainFailure, type DecodeMessage } from "./policy/denied-error.ts";

/** Keys for signing; asked for before each call, so that rotated ones count at once. */
export type CredentialSource = () => Promise<{
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}>;

/** As whom and where AWS is called. */
export interface AwsSession {
  readonly credentials: CredentialSource;
  /** Region of calls that name none. */
  readonly region: string;
  /** URL of a service (`ec2`, `iam`, `s3`, `servicequotas`, `ssm`, `sts`) that is not AWS's own; undefined = AWS's own. */
  readonly endpoint: (service: string) => string | undefined;
  /** Opens connections that go through the caller's proxy and trust the caller's certificates; absent = straight. */
  readonly openAgents?: () => HttpAgents;
  /** How often a call that AWS could not answer is made; 4 when absent. */
  readonly maxAttempts?: number;
}

/** Clients of one session. Each service's code is loaded on first use; a refusal of any call throws AwsDeniedError. */
export interface AwsClients {
  readonly session: AwsSession;
  ec2(region?: string): Promise<EC2Client>;
  iam(): Promise<IAMClient>;
  s3(region?: string): Promise<S3Client>;
  quotas(region?: string): Promise<ServiceQuotasClient>;
  ssm(region?: string): Promise<SSMClient>;
  sts(): Promise<STSClient>;
  /** Asks STS what an encoded refusal says. */
  decode: DecodeMessage;
  /** Gives back sockets. */
  close(): void;
}

/** Opens the clients of a session. */
export function openClients(session: AwsSession): AwsClients {
  const opened = new Map<string, Promise<{ destroy(): void }>>();
  const once = <T extends { destroy(): void }>(key: string, open: () => Promise<T>): Promise<T> => {
    const client = (opened.get(key) as Promise<T> | undefined) ?? open();
    opened.set(key, client);
    return client;
  };
  const decode: DecodeMessage = async (encoded) => {
    const { DecodeAuthorizationMessageCommand } = await import("@aws-sdk/client-sts");
    const answer = await (await clients.sts()).send(new DecodeAuthorizationMessageCommand({ EncodedMessage: encoded }));
    return answer.DecodedMessage ?? "";
  };
  const ready = <T extends object>(client: T, service: string, region: string): T => {
    explainRefusals(client, { service, region }, decode);
    return client;
  };
  const options = (service: string, region: string): ClientOptions => clientOptions(session, service, region);
  const clients: AwsClients = {
    session,
    ec2: (region = session.region) =>
      once(`ec2 ${region}`, async () => {
        const { EC2Client } = await import("@aws-sdk/client-ec2");
        return ready(new EC2Client(options("ec2", region)), "ec2", region);
      }),
    iam: () =>
      once("iam", async () => {
        const { IAMClient } = await import("@aws-sdk/client-iam");
        return ready(new IAMClient(options("iam", session.region)), "iam", session.region);
      }),
    s3: (region = session.region) =>
      once(`s3 ${region}`, async () => {
        const { S3Client } = await import("@aws-sdk/client-s3");
        // Servers other than AWS's own seldom have a host name for each bucket.
        const forcePathStyle = session.endpoint("s3") !== undefined;
        return ready(new S3Client({ ...options("s3", region), forcePathStyle }), "s3", region);
      }),
    quotas: (region = session.region) =>
      once(`quotas ${region}`, async () => {
        const { ServiceQuotasClient } = await import("@aws-sdk/client-service-quotas");
        return ready(new ServiceQuotasClient(options("servicequotas", region)), "servicequotas", region);
      }),
    ssm: (region = session.region) =>
      once(`ssm ${region}`, async () => {
        const { SSMClient } = await import("@aws-sdk/client-ssm");
        return ready(new SSMClient(options("ssm", region)), "ssm", region);
      }),
    sts: () =>
      once("sts", async () => {
        const { STSClient } = await import("@aws-sdk/client-sts");
        return ready(new STSClient(options("sts", session.region)), "sts", session.region);
      }),
    decode,
    close: () => {
      for (const client of opened.values()) {
        // A client that could not be opened has nothing to give back; its error went to who asked for it.
        void client.then((each) => each.destroy()).catch(() => undefined);
      }
    },
  };
  return clients;
}

interface ClientOptions {
  readonly region: string;
  readonly credentials: CredentialSource;
  readonly maxAttempts: number;
  readonly endpoint?: string;
  readonly requestHandler?: { readonly httpAgent: HttpAgents["http"]; readonly httpsAgent: HttpAgents["https"] };
}

function clientOptions(session: AwsSession, service: string, region: string): ClientOptions {
  const endpoint = session.endpoint(service);
  const agents = session.openAgents?.();
  const base = {
    region,
    credentials: session.credentials,
    maxAttempts: session.maxAttempts ?? 4,
    ...(agents === undefined ? {} : { requestHandler: { httpAgent: agents.http, httpsAgent: agents.https } }),
  };
  return endpoint === undefined ? base : { ...base, endpoint };
}

/** Makes every refusal of the client's calls an AwsDeniedError. `client`: any client of the SDK. */
export function explainRefusals(
  client: object,
  place: { readonly service: string; readonly region: string },
  decode: DecodeMessage,
): void {
  onFailure(client, (error, call) => explainFailure(error, { ...call, ...place }, { decode }));
}
