import { createHash, timingSafeEqual } from "node:crypto";
import { HEADER } from "../shared/wire/headers.ts";
import {
  API_VERSION,
  MIN_COMPATIBLE_API_VERSION,
  MIN_COMPATIBLE_VERSION,
  SKYPILOT_VERSION,
} from "../shared/wire/api-version.ts";

export interface AccessPolicy {
  /** Listens on loopback only: anonymous, so browsers must be kept out by Host and Origin. */
  readonly isLoopback: boolean;
  /** Host names besides the loopback ones that a loopback listener answers to (a reverse proxy's). */
  readonly allowedHosts: readonly string[];
  /** Bearer token that every call but the health check must carry; undefined = none needed. */
  readonly token: string | undefined;
}

export interface RequestHead {
  readonly method: string;
  /** Path without query. */
  readonly path: string;
  header(name: string): string | undefined;
}

export interface Refusal {
  readonly status: 400 | 401 | 403 | 415;
  readonly body: Readonly<Record<string, unknown>>;
}

const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|0\.0\.0\.0|\[::1?\])(?::\d+)?$/i;

/** Says why a request is refused before anything looks at it; undefined = go on. */
export function checkRequest(request: RequestHead, policy: AccessPolicy): Refusal | undefined {
  return checkHost(request, policy) ?? checkOrigin(request) ?? checkContentType(request) ?? checkVersion(request);
}

/** Whether the request proves that it may use this server. */
export function isAuthorized(request: RequestHead, policy: AccessPolicy): boolean {
  if (policy.token === undefined) return true;
  const given = /^Bearer (.+)$/.exec(request.header("authorization") ?? "")?.[1];
  return given !== undefined && timingSafeEqual(digest(given), digest(policy.token));
}

export const UNAUTHORIZED: Refusal = {
  status: 401,
  body: {
    detail: "Authentication required.",
    hint: "Set SKYPILOT_SERVICE_ACCOUNT_TOKEN, or run: sky api login -e <endpoint> --token <token>",
    code: "AUTHENTICATION_REQUIRED",
  },
};

/** A page of another site can point its own name to 127.0.0.1 (DNS rebinding); the Host header then still tells its name. */
function checkHost(request: RequestHead, policy: AccessPolicy): Refusal | undefined {
  if (!policy.isLoopback) return undefined;
  const host = request.header("host") ?? "";
  if (LOOPBACK_HOST.test(host) || policy.allowedHosts.includes(host.replace(/:\d+$/, "").toLowerCase()))
    return undefined;
  return forbidden(
    "This local API server does not answer to that Host.",
    "Use http://127.0.0.1:<port>, or name the host in SKYPILOT_SERVER_ALLOWED_HOSTS where the server runs.",
  );
}

/** Browsers send Origin (and Sec-Fetch-Site) with every call that a page of another site makes. */
function checkOrigin(request: RequestHead): Refusal | undefined {
  const origin = request.header("origin");
  if (origin !== undefined && hostOf(origin) !== request.header("host")?.toLowerCase()) {
    return forbidden("Requests from pages of another origin are refused.");
  }
  const site = request.header("sec-fetch-site");
  const isForeign = site === "cross-site" || site === "same-site";
  const isPage = request.method === "GET" && (request.path === "/" || request.path.startsWith("/dashboard"));
  return isForeign && !isPage ? forbidden("Requests from pages of another site are refused.") : undefined;
}

/** Without a preflight, a form of a foreign page can send text and form data, but not JSON. */
function checkContentType(request: RequestHead): Refusal | undefined {
  if (request.method === "GET" || request.method === "HEAD" || request.method === "OPTIONS") return undefined;
  const hasBody =
    (request.header("content-length") ?? "0") !== "0" || request.header("transfer-encoding") !== undefined;
  const type = (request.header("content-type") ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
  if (!hasBody && type === "") return undefined;
  if (type === "multipart/form-data" && isPoolKey(request)) return undefined;
  const expected = request.path === "/upload_v2" ? "application/octet-stream" : "application/json";
  if (type === expected) return undefined;
  return { status: 415, body: { detail: `The body must be ${expected}.`, hint: null, code: "UNSUPPORTED_MEDIA_TYPE" } };
}

/** A form of a foreign page cannot name the version of the API. */
function isPoolKey(request: RequestHead): boolean {
  return request.path === "/ssh_node_pools/keys" && request.header(HEADER.apiVersion) !== undefined;
}

function checkVersion(request: RequestHead): Refusal | undefined {
  const api = request.header(HEADER.apiVersion);
  const version = request.header(HEADER.version);
  if (api === undefined || version === undefined) return undefined;
  if (!/^\d{1,9}$/.test(api)) {
    return {
      status: 400,
      body: { detail: `${HEADER.apiVersion} must be an integer.`, hint: null, code: "INVALID_VALUE" },
    };
  }
  if (Number(api) >= MIN_COMPATIBLE_API_VERSION) return undefined;
  return { status: 400, body: { error: "version_mismatch", message: tooOld(version) } };
}

function tooOld(remote: string): string {
  return (
    `\u001b[33mYour SkyPilot client version is too old:\u001b[0m${remote}\n` +
    `The server is running on ${SKYPILOT_VERSION} (API ${API_VERSION}) and the minimum compatible version is ${MIN_COMPATIBLE_VERSION}.\n` +
    `Upgrade your client with:\n\u001b[33mpip install -U "skypilot==${SKYPILOT_VERSION}"\u001b[0m`
  );
}

function forbidden(detail: string, hint: string | null = null): Refusal {
  return { status: 403, body: { detail, hint, code: "PERMISSION_DENIED" } };
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host.toLowerCase() : undefined;
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
