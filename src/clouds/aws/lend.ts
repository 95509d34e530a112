import type { CloudContext, LendWish, LentCredentials } from "../../core/ports/cloud.ts";
import { AwsAuthError } from "./errors.ts";
import type { AuthSession } from "./auth/auth-session.ts";
import { textField } from "./auth/json.ts";
import { describeSource, type AssumeRoleSource, type Credentials } from "./auth/source.ts";
import { assumeRole, getFederationToken } from "./auth/sts.ts";
import { explainStsError } from "./auth/sts-errors.ts";
import { awsConfig } from "./command-args.ts";

/** What a role gives at least, and at most when another role asks for it. */
const ROLE_SECONDS = 3600;
/** Long enough for a server that is away over night. */
const FEDERATED_SECONDS = 12 * 3600;

/**
 * Keys that may do what a policy and the caller's own rights both allow. By the row of the matrix in docs/aws/s3.md: the role that
 * `aws.bucket_role` names, the role of the profile, a federation token of a user's own keys. Throws AwsAuthError with what to do where
 * there is none of these.
 */
export async function lendCredentials(
  auth: AuthSession,
  wish: LendWish,
  context: Pick<CloudContext, "config" | "workspace">,
): Promise<LentCredentials> {
  const { source } = auth;
  const { remote_identity: identity, ...aws } = awsConfig(context);
  const role = textField(aws, "bucket_role");
  const own = await auth.credentials();
  if (role !== undefined) return { ...(await byRole(auth, wish, { roleArn: role, base: own })), isConfigured: true };
  if (identity === "LOCAL_CREDENTIALS") {
    const how = "these credentials themselves (aws.remote_identity: LOCAL_CREDENTIALS)";
    return { ...toSdk(own), how, isConfigured: true };
  }
  if (source.kind === "assume-role" && source.mfaSerial === undefined) return bySameRole(auth, wish, source);
  if (own.sessionToken === undefined) return byFederation(auth, wish, own);
  throw new AwsAuthError(
    "denied",
    `The nodes cannot get keys for the bucket: credentials of ${describeSource(source)} are a session, which cannot be cut down to a bucket`,
    { hint: WAYS },
  );
}

const WAYS =
  "Name a role that they may assume, for the bucket alone (aws.bucket_role: arn:aws:iam::…:role/… in ~/.sky/config.yaml), " +
  "use `mode: COPY`, which needs no keys on the nodes, or launch with keys of a user.";

async function bySameRole(auth: AuthSession, wish: LendWish, source: AssumeRoleSource): Promise<LentCredentials> {
  const base = await auth.credentialsOf(source.base);
  const { roleArn, externalId } = source;
  return byRole(auth, wish, { roleArn, base, ...(externalId === undefined ? {} : { externalId }) });
}

async function byRole(
  auth: AuthSession,
  wish: LendWish,
  role: { readonly roleArn: string; readonly base: Credentials; readonly externalId?: string },
): Promise<LentCredentials> {
  const { base, ...request } = role;
  try {
    const keys = await assumeRole(base, { ...request, ...wish, durationSeconds: ROLE_SECONDS }, auth.load);
    return { ...toSdk(keys), how: `role ${role.roleArn}`, isConfigured: false };
  } catch (error) {
    throw explained(error, { action: "sts:AssumeRole", resource: role.roleArn, base, auth });
  }
}

async function byFederation(auth: AuthSession, wish: LendWish, base: Credentials): Promise<LentCredentials> {
  const { sessionName: name, policy } = wish;
  try {
    const keys = await getFederationToken(base, { name, policy, durationSeconds: FEDERATED_SECONDS }, auth.load);
    return { ...toSdk(keys), how: `a federation token of ${describeSource(auth.source)}`, isConfigured: false };
  } catch (error) {
    throw explained(error, { action: "sts:GetFederationToken", base, auth });
  }
}

function explained(
  error: unknown,
  call: { readonly action: string; readonly resource?: string; readonly base: Credentials; readonly auth: AuthSession },
): unknown {
  const { auth, base, ...rest } = call;
  return explainStsError(error, { ...rest, source: auth.source, credentials: base, context: auth.load });
}

function toSdk({
  accessKeyId,
  secretAccessKey,
  sessionToken,
  expiresAtMs,
}: Credentials): Omit<LentCredentials, "how" | "isConfigured"> {
  return {
    accessKeyId,
    secretAccessKey: secretAccessKey.reveal(),
    ...(sessionToken === undefined ? {} : { sessionToken: sessionToken.reveal() }),
    ...(expiresAtMs === undefined ? {} : { expiration: new Date(expiresAtMs) }),
  };
}
