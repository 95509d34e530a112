import { hostname } from "node:os";
import type { Capability, CheckOptions, CheckResult, CloudContext, CredentialSummary } from "../../core/ports/cloud.ts";
import { SkyError } from "../../shared/errors.ts";
import { renderTimeLeft } from "../../shared/time-left.ts";
import type { AuthSession, AwsAuth } from "./auth/auth-session.ts";
import { renderIdentity } from "./auth/identity.ts";
import { isObject } from "./auth/json.ts";
import { isNetworkError, networkDetail } from "../../platform/network-error.ts";
import type { SourceKind } from "./auth/source.ts";
import { listRegions, listZones, type ZoneName } from "./catalog/zones.ts";
import { openClients, type AwsClients } from "./clients.ts";
import { AwsAuthError, clockSkew, noNetwork, renderReason, type AuthFailure } from "./errors.ts";
import { describeMounts } from "./lend.ts";
import { checkStoreAlone } from "./store-alone.ts";

const ALL: readonly Capability[] = ["compute", "storage"];
const PERMISSIONS = "https://docs.skypilot.co/en/latest/cloud-setup/cloud-permissions/aws.html";
const USE_OTHER_CLOUDS =
  " It will work if you use AWS only, but will cause problems if you want to use multiple clouds. To set up static credentials, try: aws configure";
const USE_STATIC_FILE =
  " To ensure S3 mounting and other features work correctly on Kubernetes and other clouds, please use SkyPilot with static AWS credentials (e.g., ~/.aws/credentials) by unsetting the AWS_PROFILE environment variable.";

interface AwsCheckOptions extends CheckOptions {
  /** Told of what the check saw by the way: the zones of the session's region. */
  readonly onZones?: (account: string, zones: readonly ZoneName[]) => void;
}

/** What `sky check` says of AWS: always asks AWS, never a cache, so that revoked keys show. */
export async function checkAws(
  auth: AwsAuth,
  context: CloudContext,
  options: AwsCheckOptions = {},
): Promise<CheckResult> {
  const wanted = wantedCapabilities(context);
  let clients: AwsClients | undefined;
  let session: AuthSession | undefined;
  try {
    session = auth.open(context);
    // What the probes use takes its time to load; STS has it meanwhile.
    const [identity] = await Promise.all([session.identity({ isFresh: true }), loadProbes()]);
    const account = renderIdentity(identity);
    const summary = await session.summary();
    clients = openClients(session.session);
    const open = clients;
    const onZones = (zones: readonly ZoneName[]): void => options.onZones?.(identity.account, zones);
    const act = { compute: () => probeCompute(open, context.signal, onZones), storage: () => probeStorage(open) };
    const probes = await Promise.all(wanted.map((capability) => probe(capability, account, act[capability])));
    const enabled = probes.filter(({ reason }) => reason === undefined).map(({ capability }) => capability);
    const kind = kindHint(session);
    const permissions = options.isVerbose === true ? await describePermissions(auth, context) : [];
    return {
      enabled,
      reasons: probes.flatMap(({ capability, reason }) =>
        reason === undefined ? [] : [{ capabilities: [capability], text: reason }],
      ),
      hints: [
        ...clockHint(auth.time.skewMs, enabled),
        ...(kind === undefined || enabled.length === 0 ? [] : [{ capabilities: enabled, text: kind }]),
        ...probes.flatMap(({ capability, hint }) =>
          hint === undefined ? [] : [{ capabilities: [capability], text: hint }],
        ),
      ],
      account,
      details: [
        ...describeCredentials(summary, { nowMs: auth.time.now(), isLocalClient: context.isLocalClient ?? false }),
        ...(enabled.includes("storage") ? describeMounts(session, context) : []),
        ...permissions,
      ],
    };
  } catch (error) {
    context.signal.throwIfAborted();
    if (!(error instanceof SkyError)) throw error;
    if (session !== undefined && error instanceof AwsAuthError && TAKEN_ELSEWHERE.has(error.failure)) {
      clients ??= openClients(session.session);
      const alone = await checkStoreAlone(session, wanted, { clients, refusal: error });
      if (alone !== undefined) return withCredentials(alone, session, { auth, context });
    }
    return { enabled: [], reasons: [{ capabilities: wanted, text: reasonOf(error) }], details: [] };
  } finally {
    clients?.close();
  }
}

/** What STS says of keys that another server may take all the same. */
const TAKEN_ELSEWHERE: ReadonlySet<AuthFailure> = new Set(["denied", "network", "service", "wrong-key"]);

async function withCredentials(
  result: CheckResult,
  session: AuthSession,
  { auth, context }: { readonly auth: AwsAuth; readonly context: CloudContext },
): Promise<CheckResult> {
  if (result.enabled.length === 0) return result;
  const now = { nowMs: auth.time.now(), isLocalClient: context.isLocalClient ?? false };
  const credentials = describeCredentials(await session.summary(), now);
  return { ...result, details: [...result.details, ...credentials, ...describeMounts(session, context)] };
}

function reasonOf(error: SkyError): string {
  if (error instanceof AwsAuthError) return renderReason(error);
  return error.hint === undefined ? error.message : `${error.message}\n    ${error.hint.replaceAll("\n", "\n    ")}`;
}

/** `aws.capabilities` of the workspace or of the config; both when neither says. */
function wantedCapabilities(context: CloudContext): readonly Capability[] {
  const workspaces = context.config["workspaces"];
  const own = isObject(workspaces) ? workspaces[context.workspace] : undefined;
  for (const section of [isObject(own) ? own["aws"] : undefined, context.config["aws"]]) {
    const list = isObject(section) ? section["capabilities"] : undefined;
    if (!Array.isArray(list)) continue;
    const names = new Set(list.map((name) => String(name).toLowerCase()));
    return ALL.filter((capability) => names.has(capability));
  }
  return ALL;
}

interface Probe {
  readonly capability: Capability;
  readonly reason?: string;
  readonly hint?: string;
}

async function probe(capability: Capability, account: string, act: () => Promise<void>): Promise<Probe> {
  try {
    await act();
    return { capability };
  } catch (error) {
    if (capability === "storage" && isDenied(error)) {
      // A principal that may use single buckets cannot list them all, and needs no more for storage.
      return {
        capability,
        hint: `Buckets cannot be listed (s3:ListAllMyBuckets is denied); only buckets that ${account} may use by name work.`,
      };
    }
    const cause =
      capability === "compute"
        ? `Failed to fetch the availability zones for the account ${account}. It is likely due to permission issues, please check the minimal permission required for AWS: ${PERMISSIONS}`
        : `Failed to list buckets for the account ${account}. It is likely due to permission issues, please check the storage permission required for AWS: ${PERMISSIONS}`;
    return { capability, reason: explainProbe(error, cause) };
  }
}

function isDenied(error: unknown): boolean {
  return error instanceof SkyError && error.code === "PERMISSION_DENIED";
}

function explainProbe(error: unknown, denied: string): string {
  if (isDenied(error) && error instanceof SkyError) return `${denied}\n    Details: ${reasonOf(error)}`;
  if (error instanceof SkyError) return reasonOf(error);
  const host: unknown = error instanceof Error ? Reflect.get(error, "hostname") : undefined;
  if (isNetworkError(error)) {
    return renderReason(noNetwork(typeof host === "string" ? host : "The AWS endpoint", networkDetail(error)));
  }
  return `AWS answers with an error: ${error instanceof Error ? `[${error.name}] ${error.message}` : String(error)}`;
}

async function loadProbes(): Promise<void> {
  await Promise.all([import("@aws-sdk/client-ec2"), import("@aws-sdk/client-s3")]);
}

async function probeCompute(
  clients: AwsClients,
  signal: AbortSignal,
  onZones: (zones: readonly ZoneName[]) => void,
): Promise<void> {
  const [, zones] = await Promise.all([listRegions(clients, signal), listZones(undefined, clients, signal)]);
  onZones(zones);
}

async function probeStorage(clients: AwsClients): Promise<void> {
  const { ListBucketsCommand } = await import("@aws-sdk/client-s3");
  await (await clients.s3()).send(new ListBucketsCommand({ MaxBuckets: 1 }));
}

const HINT_NAMES: Readonly<Partial<Record<SourceKind, string>>> = {
  sso: "AWS SSO",
  env: "AWS env",
  "iam-role": "AWS IAM role",
  "container-role": "AWS container-role",
  "custom-process": "AWS custom-process",
  "assume-role": "AWS assume-role",
  "assume-role-with-web-identity": "AWS assume-role",
  login: "AWS login",
};

/** What does not work with credentials that end or that other machines cannot have; nothing to say of static keys. */
function kindHint(session: AuthSession): string | undefined {
  const name = HINT_NAMES[session.source.kind];
  if (name === undefined) return undefined;
  const hasStaticFile = session.source.kind === "sso" && session.files.hasCredentialsFile;
  return `${name} is set.${hasStaticFile ? USE_STATIC_FILE : USE_OTHER_CLOUDS}`;
}

/** We correct our own calls, but other programs on this machine are refused. */
function clockHint(skewMs: number, capabilities: readonly Capability[]): NonNullable<CheckResult["hints"]> {
  if (skewMs === 0 || capabilities.length === 0) return [];
  return [
    { capabilities, text: renderReason(clockSkew(skewMs, "SkyPilot corrects its own calls; others may be refused")) },
  ];
}

/** The table of `check -v`: what the credentials may do. Nothing is guessed, and nothing of it turns a capability off. */
async function describePermissions(auth: AwsAuth, context: CloudContext): Promise<readonly string[]> {
  const [{ checkPermissions }, { renderCapabilities }] = await Promise.all([
    import("./preflight/command.ts"),
    import("./preflight/render.ts"),
  ]);
  try {
    const report = await checkPermissions((one, wish) => auth.open(one, wish), {}, context);
    const table = renderCapabilities(report.capabilities).map((line) => `  ${line}`);
    const isComplete = report.capabilities.every(({ status }) => status === "allowed");
    const more = isComplete ? [] : ["What is missing, and what to add: sky check aws --permissions"];
    return [`Permissions in ${report.region}:`, ...table, ...more];
  } catch (error) {
    context.signal.throwIfAborted();
    return [`Permissions: unknown (${error instanceof Error ? error.message : String(error)})`];
  }
}

/** The block of `check -v`: kind, source, profile, region, whose machine, time left. */
export function describeCredentials(
  summary: CredentialSummary,
  now: { readonly nowMs: number; readonly isLocalClient: boolean },
): readonly string[] {
  const machine = now.isLocalClient ? `this machine (${hostname()})` : `the API server (${hostname()})`;
  const left =
    summary.expiresAtMs === undefined
      ? "do not expire"
      : `expire in ${renderTimeLeft(summary.expiresAtMs - now.nowMs)}`;
  return [
    `Credentials: ${summary.kind}, ${left}`,
    `Source: ${summary.source}`,
    `Profile: ${summary.profile ?? "(none)"}`,
    `Region: ${summary.region ?? "us-east-1 (none is set)"}`,
    `Machine: credentials of ${machine}`,
  ];
}
