import type { Secret } from "../../shared/secret.ts";
import { GoogleApiError, GoogleAuthError } from "./errors.ts";
import type { GoogleEnvironment } from "./gcloud-config.ts";

/** A project as one token's holder sees it. */
export interface GoogleProject {
  readonly token: Secret;
  readonly project: string;
  readonly env: GoogleEnvironment["env"];
  readonly signal: AbortSignal;
}

/** Which of the permissions the holder has. */
export async function testPermissions(
  target: GoogleProject,
  permissions: readonly string[],
): Promise<readonly string[]> {
  const path = `v1/projects/${encodeURIComponent(target.project)}:testIamPermissions`;
  const answer = await call(target, "cloudresourcemanager", { path, body: { permissions } });
  return texts(answer["permissions"]);
}

/** Which of the APIs are enabled. Google tells of at most 30 at a time. */
export async function enabledApis(target: GoogleProject, names: readonly string[]): Promise<readonly string[]> {
  const query = names.map((name) => `names=${encodeURIComponent(`projects/${target.project}/services/${name}`)}`);
  const path = `v1/projects/${encodeURIComponent(target.project)}/services:batchGet?${query.join("&")}`;
  const { services } = await call(target, "serviceusage", { path });
  if (!Array.isArray(services)) return [];
  return services.flatMap((service: Readonly<Record<string, unknown>>) => {
    const name = typeof service["name"] === "string" ? service["name"].split("/").at(-1) : undefined;
    return service["state"] === "ENABLED" && name !== undefined ? [name] : [];
  });
}

/** The e-mail address that the token stands for; undefined when Google does not say. */
export async function emailOf(target: Omit<GoogleProject, "project">): Promise<string | undefined> {
  const { email } = await call(target, "oauth2", { path: "oauth2/v3/userinfo" });
  return typeof email === "string" ? email : undefined;
}

const HOSTS: Readonly<Record<string, string>> = { oauth2: "https://www.googleapis.com/" };

/** The URL of an API; gcloud's own variable overrides it. */
function baseOf(api: string, env: GoogleEnvironment["env"]): string {
  const override = env[`CLOUDSDK_API_ENDPOINT_OVERRIDES_${api.toUpperCase()}`];
  const base = override ?? HOSTS[api] ?? `https://${api}.googleapis.com/`;
  return base.endsWith("/") ? base : `${base}/`;
}

async function call(
  target: Omit<GoogleProject, "project">,
  api: string,
  request: { readonly path: string; readonly body?: object },
): Promise<Readonly<Record<string, unknown>>> {
  const base = baseOf(api, target.env);
  const headers = { authorization: `Bearer ${target.token.reveal()}`, "content-type": "application/json" };
  const body = request.body === undefined ? {} : { method: "POST", body: JSON.stringify(request.body) };
  let response: Response;
  try {
    response = await fetch(`${base}${request.path}`, { headers, signal: target.signal, ...body });
  } catch (error) {
    target.signal.throwIfAborted();
    throw new GoogleAuthError(`Google cannot be reached at ${new URL(base).host}.`, { cause: error });
  }
  const answer = asRecord(await response.json().catch(() => ({})));
  if (!response.ok) throw apiError(api, response.status, asRecord(answer["error"]));
  return answer;
}

function apiError(api: string, httpStatus: number, error: Readonly<Record<string, unknown>>): GoogleApiError {
  const details: unknown[] = Array.isArray(error["details"]) ? error["details"] : [];
  const reason = details.map((each) => asRecord(each)["reason"]).find((each) => typeof each === "string");
  const message = typeof error["message"] === "string" ? error["message"] : `HTTP ${httpStatus}`;
  return new GoogleApiError(`Google answered (${api}): ${message}`, { httpStatus, reason });
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
