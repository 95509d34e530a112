import type { Borrower, CloudContext, LendWish, LentCredentials } from "../../core/ports/cloud.ts";
import { describeByCluster } from "../../shared/config/by-cluster.ts";
import { AwsAuthError } from "./errors.ts";
import type { AuthSession } from "./auth/auth-session.ts";
import { textField, type JsonObject } from "./auth/json.ts";
import { describeSource, type AssumeRoleSource, type Credentials } from "./auth/source.ts";
import { assumeRole, getFederationToken } from "./auth/sts.ts";
import { explainStsError } from "./auth/sts-errors.ts";
import { clusterConfig, identityOf, remoteIdentity } from "./cluster-config.ts";
import { awsConfig } from "./command-args.ts";
import { storeApart } from "./store-alone.ts";

/** What a role gives at least, and at most when another role asks for it. */
const ROLE_SECONDS = 3600;
/** Long enough for a server that is away over night. */
const FEDERATED_SECONDS = 12 * 3600;

/** A row of the matrix in docs/aws/s3.md. */
type Way =
  | { readonly kind: "forbidden"; readonly hasRole: boolean }
  | { readonly kind: "named-role"; readonly roleArn: string }
  | { readonly kind: "own-keys" }
  | { readonly kind: "same-role"; readonly source: AssumeRoleSource }
  | { readonly kind: "federation" }
  /** The buckets are on a server of which AWS's STS knows nothing. */
  | { readonly kind: "apart"; readonly endpoint: string }
  | { readonly kind: "none" };

/** The first row that applies, where `identity` is what `aws.remote_identity` is for a cluster. Asks nobody. */
function wayOf({ source, session }: AuthSession, aws: JsonObject, identity: string | undefined): Way {
  const roleArn = textField(aws, "bucket_role");
  const endpoint = storeApart(session);
  if (identity === "NO_UPLOAD") return { kind: "forbidden", hasRole: endpoint === undefined };
  if (roleArn !== undefined && endpoint === undefined) return { kind: "named-role", roleArn };
  if (identity === "LOCAL_CREDENTIALS") return { kind: "own-keys" };
  if (endpoint !== undefined) return { kind: "apart", endpoint };
  if (source.kind === "assume-role" && source.mfaSerial === undefined) return { kind: "same-role", source };
  const isStatic = "keys" in source && source.keys.sessionToken === undefined;
  return isStatic ? { kind: "federation" } : { kind: "none" };
}

function wayFor(
  auth: AuthSession,
  { clusterName, cloud, region, config }: Borrower,
  context: Pick<CloudContext, "config" | "workspace">,
): Way {
  const aws = clusterConfig(context, {
    clusterName,
    ...(cloud === "aws" && region !== undefined ? { region } : {}),
    ...(config === undefined ? {} : { overrides: config }),
  });
  return wayOf(auth, aws, remoteIdentity(aws["remote_identity"], clusterName));
}

/**
 * Keys that may do what a policy and the caller's own rights both allow, by the row of the matrix in docs/aws/s3.md. Throws
 * AwsAuthError with what to do where none applies.
 */
export async function lendCredentials(
  auth: AuthSession,
  wish: LendWish,
  context: Pick<CloudContext, "config" | "workspace">,
): Promise<LentCredentials> {
  const way = wayFor(auth, wish.cluster, context);
  switch (way.kind) {
    case "forbidden":
      throw new AwsAuthError("denied", FORBIDDEN, { hint: forbiddenWays(way) });
    case "named-role": {
      const base = await auth.credentials();
      return { ...(await byRole(auth, wish, { roleArn: way.roleArn, base })), isConfigured: true };
    }
    case "own-keys":
      return { ...toSdk(await auth.credentials()), how: OWN_KEYS, isConfigured: true, isUncut: true };
    case "same-role":
      return bySameRole(auth, wish, way.source);
    case "federation":
      return byFederation(auth, wish, await auth.credentials());
    case "apart":
      throw new AwsAuthError("denied", `S3 at ${way.endpoint} has no keys for a single bucket to give to nodes`, {
        hint: APART_WAYS,
      });
    case "none":
      throw new AwsAuthError(
        "denied",
        `The nodes cannot get keys for the bucket: credentials of ${describeSource(auth.source)} are a session, which cannot be cut down to a bucket`,
        { hint: WAYS },
      );
  }
}

/** The lines of `check -v`: how nodes can mount buckets with these credentials. */
export function describeMounts(
  auth: AuthSession,
  context: Pick<CloudContext, "config" | "workspace">,
): readonly string[] {
  const aws = awsConfig(context);
  return describeByCluster("Mounted buckets", aws["remote_identity"], (value) =>
    describeWay(wayOf(auth, aws, identityOf(value))),
  );
}

function describeWay(way: Way): string {
  const own = "on EC2 by the nodes' role";
  switch (way.kind) {
    case "forbidden":
      return `${way.hasRole ? `${own}, elsewhere not` : "not"} (${FORBIDDEN})`;
    case "named-role":
      return `everywhere by ${way.roleArn} (aws.bucket_role), cut down to the bucket`;
    case "own-keys":
      return `everywhere by ${OWN_KEYS}`;
    case "same-role":
      return `${own}, elsewhere by ${way.source.roleArn}, cut down to the bucket`;
    case "federation":
      return `${own}, elsewhere by a federation token, cut down to the bucket`;
    case "apart":
      return "not with these credentials (aws.remote_identity: LOCAL_CREDENTIALS lets the nodes use them)";
    case "none":
      return `${own}, elsewhere not (a session cannot be cut down to a bucket; set aws.bucket_role)`;
  }
}

const FORBIDDEN = "aws.remote_identity: NO_UPLOAD keeps keys of AWS off the nodes";

function forbiddenWays({ hasRole }: { readonly hasRole: boolean }): string {
  const ways = [
    "Use `mode: COPY`, which needs no keys on the nodes,",
    ...(hasRole ? ["launch on EC2, where nodes mount by their own role,"] : []),
    "or give aws.remote_identity another value in ~/.sky/config.yaml.",
  ];
  return ways.join(" ");
}

const OWN_KEYS = "these credentials themselves (aws.remote_identity: LOCAL_CREDENTIALS)";

const APART_WAYS =
  "Use `mode: COPY`, which needs no keys on the nodes, or let the nodes use these credentials, in memory alone: " +
  "aws.remote_identity: LOCAL_CREDENTIALS in ~/.sky/config.yaml.";

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
}: Credentials): Omit<LentCredentials, "how" | "isConfigured" | "isUncut"> {
  return {
    accessKeyId,
    secretAccessKey: secretAccessKey.reveal(),
    ...(sessionToken === undefined ? {} : { sessionToken: sessionToken.reveal() }),
    ...(expiresAtMs === undefined ? {} : { expiration: new Date(expiresAtMs) }),
  };
}
