import type { Capability, CheckResult } from "../../core/ports/cloud.ts";
import type { Clock } from "../../shared/clock.ts";
import { SkyError } from "../../shared/errors.ts";
import { findCredentials, type GoogleCredentials } from "./credentials.ts";
import { GoogleApiError, GoogleAuthError } from "./errors.ts";
import type { GoogleEnvironment } from "./gcloud-config.ts";
import { emailOf, enabledApis, testPermissions, type GoogleProject } from "./google-api.ts";
import { APIS, PERMISSIONS } from "./permissions.ts";
import { fetchToken } from "./token.ts";

const CAPABILITIES = ["compute", "storage"] as const satisfies readonly Capability[];
const NOT_YET = "Launching on GCP is not available in this version.";

/** Who calls Google, and in which project. */
export interface GoogleIdentity {
  readonly account: string;
  readonly project: string;
}

export interface Opened {
  readonly credentials: GoogleCredentials;
  readonly identity: GoogleIdentity;
  readonly target: GoogleProject;
}

/** Finds the credentials, gets a token and says who it is. Throws GoogleAuthError. */
export async function openGoogle(
  environment: GoogleEnvironment,
  options: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<Opened> {
  const credentials = await findCredentials(environment);
  const { project } = credentials;
  if (project === undefined) {
    throw new GoogleAuthError(`No project is set for the credentials in ${credentials.source}.`, {
      hint: "gcloud config set project PROJECT_ID, or export GOOGLE_CLOUD_PROJECT=PROJECT_ID",
    });
  }
  const token = await fetchToken(credentials, options.clock, { signal: options.signal });
  const target = { token, project, env: environment.env, signal: options.signal };
  const account = credentials.email ?? (await emailOf(target)) ?? "unknown account";
  return { credentials, identity: { account, project }, target };
}

/** As `sky check` shows it. */
export function renderIdentity({ account, project }: GoogleIdentity): string {
  return `${account} [project_id=${project}]`;
}

/** What `sky check gcp` says. */
export async function checkGcp(
  environment: GoogleEnvironment,
  options: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<CheckResult> {
  try {
    const { credentials, identity, target } = await openGoogle(environment, options);
    const state = await readProject(target);
    const missing = CAPABILITIES.map((capability) => ({ capability, text: missingOf(capability, state, identity) }));
    const enabled = missing.filter(({ text }) => text === undefined).map(({ capability }) => capability);
    return {
      enabled,
      account: renderIdentity(identity),
      reasons: missing.flatMap(({ capability, text }) =>
        text === undefined ? [] : [{ capabilities: [capability], text }],
      ),
      hints: enabled.includes("compute") ? [{ capabilities: ["compute"], text: NOT_YET }] : [],
      details: [
        `Credentials: ${credentials.kind} (${credentials.source})`,
        `Project: ${identity.project}`,
        `Enabled APIs: ${state.apis?.join(", ") ?? "unknown (serviceusage.services.list is denied)"}`,
      ],
    };
  } catch (error) {
    options.signal.throwIfAborted();
    if (!(error instanceof SkyError)) throw error;
    const text = error.hint === undefined ? error.message : `${error.message}\n    ${error.hint}`;
    return { enabled: [], reasons: [{ capabilities: CAPABILITIES, text }], details: [] };
  }
}

interface ProjectState {
  readonly granted: ReadonlySet<string>;
  /** Undefined when it may not be asked. */
  readonly apis: readonly string[] | undefined;
}

async function readProject(target: GoogleProject): Promise<ProjectState> {
  const names = CAPABILITIES.flatMap((capability) => [...APIS[capability]]);
  const [granted, apis] = await Promise.all([
    testPermissions(target, Object.values(PERMISSIONS).flat()),
    enabledApis(target, names).catch((error: unknown) => {
      if (error instanceof GoogleApiError && error.httpStatus === 403) return undefined;
      throw error;
    }),
  ]);
  return { granted: new Set(granted), apis };
}

function missingOf(capability: Capability, state: ProjectState, identity: GoogleIdentity): string | undefined {
  const { apis } = state;
  const disabled = apis === undefined ? [] : APIS[capability].filter((name) => !apis.includes(name));
  const denied = PERMISSIONS[capability].filter((name) => !state.granted.has(name));
  const parts: string[] = [];
  if (disabled.length > 0) {
    parts.push(
      `These APIs are not enabled in ${identity.project}: ${disabled.join(", ")}. Run the following command:`,
      `      $ gcloud services enable ${disabled.join(" ")} --project ${identity.project}`,
    );
  }
  if (denied.length > 0) {
    parts.push(
      `${parts.length === 0 ? "" : "    "}${identity.account} lacks permissions in ${identity.project}: ${denied.join(", ")}. Put them into a role of its own and grant it:`,
      `      $ gcloud iam roles create skypilot --project ${identity.project} --permissions ${denied.join(",")}`,
      `      $ gcloud projects add-iam-policy-binding ${identity.project} --member ${memberOf(identity)} --role projects/${identity.project}/roles/skypilot`,
    );
  }
  return parts.length === 0 ? undefined : parts.join("\n");
}

function memberOf({ account }: GoogleIdentity): string {
  return `${account.endsWith(".gserviceaccount.com") ? "serviceAccount" : "user"}:${account}`;
}
