import type { IncomingMessage, ServerResponse } from "node:http";
import { randomUUID } from "node:crypto";
import { HEADER } from "../shared/wire/headers.ts";
import { API_VERSION, SKYPILOT_COMMIT, SKYPILOT_VERSION } from "../shared/wire/api-version.ts";
import type { HealthResult } from "../shared/wire/health.ts";
import { checkRequest, isAuthorized, type AccessPolicy, type Refusal, type RequestHead } from "./guard.ts";

const HEALTHY: HealthResult = {
  status: "healthy",
  api_version: String(API_VERSION),
  version: SKYPILOT_VERSION,
  version_on_disk: SKYPILOT_VERSION,
  commit: SKYPILOT_COMMIT,
  basic_auth_enabled: false,
  user: null,
  service_account_token_enabled: false,
  ingress_basic_auth_enabled: false,
  latest_version: null,
  external_proxy_auth_enabled: false,
  telemetry_enabled: false,
  restrict_config_to_admins: true,
};

const BODIES = {
  healthy: Buffer.from(JSON.stringify(HEALTHY)),
  needsAuth: Buffer.from(JSON.stringify({ ...HEALTHY, status: "needs_auth" })),
  /** For probes that are no client. */
  anonymous: Buffer.from(JSON.stringify({ status: "healthy" })),
};

/** Headers of every response. */
export function standardHeaders(requestId: string): Record<string, string> {
  return {
    [HEADER.apiVersion]: String(API_VERSION),
    [HEADER.version]: SKYPILOT_VERSION,
    [HEADER.server]: "ts",
    [HEADER.requestId]: requestId,
    "x-content-type-options": "nosniff",
  };
}

/** Answers `/api/health` without the router: clients ask it before every command, and probes all the time. */
export function answerHealth(request: IncomingMessage, response: ServerResponse, policy: AccessPolicy): void {
  const head = nodeHead(request, "/api/health");
  const refusal = checkRequest(head, policy);
  if (refusal !== undefined) return send(response, refusal.status, refusalBody(refusal));
  if (isAuthorized(head, policy)) return send(response, 200, BODIES.healthy);
  return send(response, 200, head.header(HEADER.apiVersion) === undefined ? BODIES.anonymous : BODIES.needsAuth);
}

export function refusalBody(refusal: Refusal): Buffer {
  return Buffer.from(JSON.stringify(refusal.body));
}

export function nodeHead(request: IncomingMessage, path: string): RequestHead {
  return {
    method: request.method ?? "GET",
    path,
    header: (name) => {
      const value = request.headers[name];
      return Array.isArray(value) ? value[0] : value;
    },
  };
}

function send(response: ServerResponse, status: number, body: Buffer): void {
  response.writeHead(status, {
    ...standardHeaders(randomUUID()),
    "content-type": "application/json",
    "content-length": body.length,
  });
  response.end(body);
}
