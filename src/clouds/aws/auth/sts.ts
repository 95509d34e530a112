import type { STSClient } from "@aws-sdk/client-sts";
import { Secret } from "../../../shared/secret.ts";
import { serviceFailed } from "../errors.ts";
import type { LoadContext } from "./load-context.ts";
import type { Credentials } from "./source.ts";

export interface CallerIdentity {
  readonly userId: string;
  readonly account: string;
  readonly arn: string;
}

/** Who the credentials are. Throws the SDK's errors; `explainStsError` turns them into ours. */
export async function getCallerIdentity(credentials: Credentials, context: LoadContext): Promise<CallerIdentity> {
  const { GetCallerIdentityCommand } = await import("@aws-sdk/client-sts");
  return withClient(credentials, context, async (client) => {
    const answer = await client.send(new GetCallerIdentityCommand({}), { abortSignal: context.signal });
    return { userId: answer.UserId ?? "", account: answer.Account ?? "", arn: answer.Arn ?? "" };
  });
}

export interface RoleRequest {
  readonly roleArn: string;
  readonly sessionName: string;
  readonly externalId?: string;
  readonly mfa?: { readonly serial: string; readonly code: string };
  readonly durationSeconds?: number;
  /** JSON of a policy that the session's rights are cut down to. */
  readonly policy?: string;
}

/** Throws the SDK's errors; `explainStsError` turns them into ours. */
export async function assumeRole(base: Credentials, request: RoleRequest, context: LoadContext): Promise<Credentials> {
  const { AssumeRoleCommand } = await import("@aws-sdk/client-sts");
  const command = new AssumeRoleCommand({
    RoleArn: request.roleArn,
    RoleSessionName: request.sessionName,
    ExternalId: request.externalId,
    SerialNumber: request.mfa?.serial,
    TokenCode: request.mfa?.code,
    DurationSeconds: request.durationSeconds,
    Policy: request.policy,
  });
  return withClient(base, context, async (client) => {
    const answer = await client.send(command, { abortSignal: context.signal });
    return toCredentials("sts:AssumeRole", answer.Credentials);
  });
}

/** A session of a user's own keys, with the rights that both the user and the policy have. Throws the SDK's errors. */
export async function getFederationToken(
  base: Credentials,
  request: { readonly name: string; readonly policy: string; readonly durationSeconds: number },
  context: LoadContext,
): Promise<Credentials> {
  const { GetFederationTokenCommand } = await import("@aws-sdk/client-sts");
  const { name: Name, policy: Policy, durationSeconds: DurationSeconds } = request;
  return withClient(base, context, async (client) => {
    const command = new GetFederationTokenCommand({ Name, Policy, DurationSeconds });
    const answer = await client.send(command, { abortSignal: context.signal });
    return toCredentials("sts:GetFederationToken", answer.Credentials);
  });
}

/** Throws the SDK's errors. */
export async function assumeRoleWithWebIdentity(
  request: { readonly roleArn: string; readonly sessionName: string; readonly token: Secret },
  context: LoadContext,
): Promise<Credentials> {
  const { AssumeRoleWithWebIdentityCommand } = await import("@aws-sdk/client-sts");
  const command = new AssumeRoleWithWebIdentityCommand({
    RoleArn: request.roleArn,
    RoleSessionName: request.sessionName,
    WebIdentityToken: request.token.reveal(),
  });
  return withClient(undefined, context, async (client) => {
    const answer = await client.send(command, { abortSignal: context.signal });
    return toCredentials("sts:AssumeRoleWithWebIdentity", answer.Credentials);
  });
}

async function withClient<T>(
  credentials: Credentials | undefined,
  context: LoadContext,
  call: (client: STSClient) => Promise<T>,
): Promise<T> {
  const { STSClient } = await import("@aws-sdk/client-sts");
  const token = credentials?.sessionToken?.reveal();
  const client = new STSClient({
    region: context.region,
    endpoint: context.endpoint("sts", context.region),
    maxAttempts: 3,
    requestHandler: {
      httpAgent: context.agents.http,
      httpsAgent: context.agents.https,
      connectionTimeout: 5000,
      requestTimeout: 10_000,
    },
    systemClockOffset: context.time.skewMs,
    credentials: {
      // The call with a web identity is not signed, but the client wants something to hold.
      accessKeyId: credentials?.accessKeyId ?? "unsigned",
      secretAccessKey: credentials?.secretAccessKey.reveal() ?? "unsigned",
      ...(token === undefined ? {} : { sessionToken: token }),
    },
  });
  client.middlewareStack.add(
    (next) => async (args) => {
      const answer = await next(args);
      context.time.observe(dateOf(answer.response));
      return answer;
    },
    { step: "deserialize", name: "observeServerTime", priority: "low" },
  );
  try {
    return await call(client);
  } finally {
    client.destroy();
  }
}

function dateOf(response: unknown): string | undefined {
  if (typeof response !== "object" || response === null) return undefined;
  const headers: unknown = Reflect.get(response, "headers");
  const date: unknown = typeof headers === "object" && headers !== null ? Reflect.get(headers, "date") : undefined;
  return typeof date === "string" ? date : undefined;
}

interface StsCredentials {
  readonly AccessKeyId?: string | undefined;
  readonly SecretAccessKey?: string | undefined;
  readonly SessionToken?: string | undefined;
  readonly Expiration?: Date | undefined;
}

function toCredentials(action: string, answer: StsCredentials | undefined): Credentials {
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = answer ?? {};
  if (AccessKeyId === undefined || SecretAccessKey === undefined || SessionToken === undefined) {
    throw serviceFailed(action, "the answer holds no credentials");
  }
  return {
    accessKeyId: AccessKeyId,
    secretAccessKey: new Secret(SecretAccessKey),
    sessionToken: new Secret(SessionToken),
    ...(Expiration === undefined ? {} : { expiresAtMs: Expiration.getTime() }),
  };
}
