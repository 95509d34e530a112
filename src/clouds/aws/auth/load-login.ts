import { createHash, createPrivateKey, createPublicKey, randomUUID, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../../platform/atomic-file.ts";
import { Secret } from "../../../shared/secret.ts";
import { AwsAuthError, loginExpired, loginMissing } from "../errors.ts";
import { loginCacheDirectory, type AwsEnvironment } from "./environment.ts";
import { DEAD_ZONE_MS, REFRESH_AHEAD_MS } from "./lifetime.ts";
import { objectField, parseObject, textField, timeField, type JsonObject } from "./json.ts";
import type { LoadContext } from "./load-context.ts";
import { send } from "./network.ts";
import type { Credentials, LoginSource } from "./source.ts";

/** Where `aws login` keeps a session: named by the SHA-256 of `login_session`. */
export function loginCachePath(session: string, environment: AwsEnvironment): string {
  const hash = createHash("sha256").update(session).digest("hex");
  return join(loginCacheDirectory(environment), `${hash}.json`);
}

/** Uses the session of `aws login`, renewing it as the AWS CLI does. Throws AwsAuthError. */
export async function loadLogin(source: LoginSource, context: LoadContext): Promise<Credentials> {
  const path = loginCachePath(source.session, context.environment);
  const file = readFile(path);
  const credentials = file === undefined ? undefined : toCredentials(objectField(file, "accessToken"));
  if (file === undefined || credentials === undefined) throw loginMissing(source.profile);
  const leftMs = (credentials.expiresAtMs ?? 0) - context.time.now();
  if (leftMs > REFRESH_AHEAD_MS) return credentials;
  try {
    const renewed = await refresh(source, file, context);
    writeFileAtomic(path, JSON.stringify(renewed, undefined, 2), { mode: 0o600, directoryMode: 0o700 });
    return toCredentials(objectField(renewed, "accessToken")) ?? credentials;
  } catch (error) {
    if (error instanceof AwsAuthError && leftMs > DEAD_ZONE_MS) return credentials;
    throw error;
  }
}

function readFile(path: string): JsonObject | undefined {
  try {
    return parseObject(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

function toCredentials(token: JsonObject | undefined): Credentials | undefined {
  const accessKeyId = textField(token, "accessKeyId");
  const secret = textField(token, "secretAccessKey");
  const sessionToken = textField(token, "sessionToken");
  const expiresAtMs = timeField(token, "expiresAt");
  if (accessKeyId === undefined || secret === undefined || sessionToken === undefined || expiresAtMs === undefined) {
    return undefined;
  }
  const accountId = textField(token, "accountId");
  return {
    accessKeyId,
    secretAccessKey: new Secret(secret),
    sessionToken: new Secret(sessionToken),
    expiresAtMs,
    ...(accountId === undefined ? {} : { accountId }),
  };
}

async function refresh(source: LoginSource, file: JsonObject, context: LoadContext): Promise<JsonObject> {
  const clientId = textField(file, "clientId");
  const refreshToken = textField(file, "refreshToken");
  const key = textField(file, "dpopKey");
  if (clientId === undefined || refreshToken === undefined || key === undefined) {
    throw loginExpired(source.profile, "it cannot be renewed.");
  }
  const region = textField(file, "signInRegion") ?? source.region ?? context.region;
  const url = `${context.endpoint("signin", region)}/v1/token`;
  const proof = signProof(key, url, context.time.now());
  if (proof === undefined) throw loginExpired(source.profile, "its key cannot be read.");
  const answer = await send(
    {
      url,
      method: "POST",
      headers: { "content-type": "application/json", DPoP: proof },
      body: JSON.stringify({ clientId, refreshToken, grantType: "refresh_token" }),
      timeoutMs: 10_000,
    },
    context,
  );
  const body = parseObject(answer.text);
  const token = objectField(body, "accessToken");
  const next = textField(body, "refreshToken");
  if (answer.status !== 200 || token === undefined || next === undefined) {
    throw loginExpired(source.profile, refusal(textField(body, "error"), answer.status));
  }
  const seconds = typeof body?.["expiresIn"] === "number" ? body["expiresIn"] : 900;
  const expiresAt = new Date(context.time.now() + seconds * 1000).toISOString();
  return {
    ...file,
    accessToken: { ...objectField(file, "accessToken"), ...token, expiresAt },
    refreshToken: next,
  };
}

const REFUSALS: Readonly<Record<string, string>> = {
  TOKEN_EXPIRED: "the session has expired.",
  USER_CREDENTIALS_CHANGED: "the password has changed.",
  INSUFFICIENT_PERMISSIONS: "the permission signin:CreateOAuth2Token is missing.",
};

function refusal(code: string | undefined, status: number): string {
  return REFUSALS[code ?? ""] ?? `AWS refuses to renew it (${code ?? `status ${status}`}).`;
}

/** A DPoP proof (RFC 9449) that the caller holds the key to which the refresh token is bound; undefined for a key that cannot be read. */
function signProof(pem: string, url: string, nowMs: number): string | undefined {
  try {
    const privateKey = createPrivateKey(pem);
    const { kty, crv, x, y } = createPublicKey(privateKey).export({ format: "jwk" });
    const header = { alg: "ES256", typ: "dpop+jwt", jwk: { kty, crv, x, y } };
    const payload = { jti: randomUUID(), htm: "POST", htu: url, iat: Math.floor(nowMs / 1000) };
    const message = `${toPart(header)}.${toPart(payload)}`;
    const signature = sign("sha256", Buffer.from(message), { key: privateKey, dsaEncoding: "ieee-p1363" });
    return `${message}.${signature.toString("base64url")}`;
  } catch {
    return undefined;
  }
}

function toPart(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
