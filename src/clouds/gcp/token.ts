import { createPrivateKey, createSign, type KeyObject } from "node:crypto";
import type { Clock } from "../../shared/clock.ts";
import { Secret } from "../../shared/secret.ts";
import type { GoogleCredentials } from "./credentials.ts";
import { GoogleAuthError } from "./errors.ts";

const SCOPE = "https://www.googleapis.com/auth/cloud-platform";
const LIFETIME_S = 3600;

/** Gets an access token for the credentials. Throws GoogleAuthError with Google's words when they are refused or Google is silent. */
export async function fetchToken(
  credentials: GoogleCredentials,
  clock: Clock,
  options: { readonly signal: AbortSignal },
): Promise<Secret> {
  const form = credentials.kind === "service-account" ? assertionForm(credentials, clock) : refreshForm(credentials);
  const answer = await post(credentials.tokenUri, form, options.signal);
  const token = answer.body["access_token"];
  if (answer.status === 200 && typeof token === "string") return new Secret(token);
  throw refused(credentials, answer);
}

type ServiceAccount = Extract<GoogleCredentials, { readonly kind: "service-account" }>;
type User = Extract<GoogleCredentials, { readonly kind: "user" }>;

function assertionForm(account: ServiceAccount, clock: Clock): URLSearchParams {
  const issuedAt = Math.floor(clock.now() / 1000);
  const header = { alg: "RS256", typ: "JWT", ...(account.keyId === undefined ? {} : { kid: account.keyId }) };
  const claims = {
    iss: account.email,
    scope: SCOPE,
    aud: account.tokenUri,
    iat: issuedAt,
    exp: issuedAt + LIFETIME_S,
  };
  const input = `${encode(header)}.${encode(claims)}`;
  const signature = createSign("RSA-SHA256").update(input).sign(privateKey(account), "base64url");
  return new URLSearchParams({
    grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer",
    assertion: `${input}.${signature}`,
  });
}

function privateKey(account: ServiceAccount): KeyObject {
  try {
    return createPrivateKey(account.privateKey.reveal());
  } catch (error) {
    // The parser's message may quote the key.
    const name = error instanceof Error ? error.name : "error";
    throw new GoogleAuthError(`The private key in ${account.source} cannot be read (${name}).`, {
      hint: "Make a new key for the service account.",
    });
  }
}

function refreshForm(user: User): URLSearchParams {
  return new URLSearchParams({
    grant_type: "refresh_token",
    client_id: user.clientId,
    client_secret: user.clientSecret.reveal(),
    refresh_token: user.refreshToken.reveal(),
  });
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

interface TokenAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

async function post(url: string, form: URLSearchParams, signal: AbortSignal): Promise<TokenAnswer> {
  try {
    const response = await fetch(url, { method: "POST", body: form, signal });
    const text = await response.text();
    return { status: response.status, body: parseBody(text) };
  } catch (error) {
    signal.throwIfAborted();
    throw new GoogleAuthError(`Google cannot be reached at ${new URL(url).host}.`, {
      cause: error,
      hint: "Check the network, and the proxy if there is one.",
    });
  }
}

function parseBody(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {};
  }
}

function refused(credentials: GoogleCredentials, { status, body }: TokenAnswer): GoogleAuthError {
  const said = [body["error"], body["error_description"]].filter((part) => typeof part === "string").join(": ");
  const who = credentials.email ?? "the credentials";
  const hint =
    credentials.kind === "user"
      ? "Log in again: gcloud auth application-default login"
      : "Is the key revoked, the service account deleted, or this machine's clock wrong? Make a new key if so.";
  return new GoogleAuthError(`Google refused ${who} from ${credentials.source}: ${said === "" ? status : said}.`, {
    hint,
  });
}
