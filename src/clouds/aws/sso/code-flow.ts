import { createHash, randomBytes, randomUUID } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { SsoSettings } from "../auth/resolve-sso.ts";
import type { SsoToken } from "../auth/sso-token.ts";
import type { LoginDialog } from "./dialog.ts";
import { createToken, OidcError, type OidcContext } from "./oidc.ts";
import { registerClient } from "./register.ts";

const CALLBACK = "/oauth/callback";
const WAIT_MS = 10 * 60_000;

/** Logs in through a browser on this machine: authorization code with PKCE (RFC 7636), received on a loopback port. Throws OidcError. */
export async function loginWithBrowser(
  settings: SsoSettings,
  dialog: LoginDialog,
  context: OidcContext,
): Promise<SsoToken> {
  const state = randomUUID();
  const receiver = await openReceiver(state, context.signal);
  try {
    // The service compares redirect URIs without their port (RFC 8252, 7.3).
    const registration = await registerClient(settings, { redirectUri: `http://127.0.0.1${CALLBACK}` }, context);
    const verifier = randomBytes(48).toString("base64url");
    const query = new URLSearchParams({
      response_type: "code",
      client_id: registration.clientId,
      redirect_uri: receiver.redirectUri,
      state,
      code_challenge_method: "S256",
      scopes: settings.scopes.join(" "),
      code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    });
    const url = `${context.endpoint("sso-oidc", settings.ssoRegion)}/authorize?${query.toString()}`;
    dialog.say("Opening the login page in a browser. If it does not open, open this URL:");
    dialog.say(url);
    dialog.openUrl(url);
    const code = await receiver.code;
    return await createToken(
      { grantType: "authorization_code", redirectUri: receiver.redirectUri, codeVerifier: verifier, code },
      { registration, region: settings.ssoRegion, startUrl: settings.startUrl },
      context,
    );
  } finally {
    receiver.close();
  }
}

interface Receiver {
  readonly redirectUri: string;
  readonly code: Promise<string>;
  close(): void;
}

async function openReceiver(state: string, signal: AbortSignal): Promise<Receiver> {
  const { promise: code, resolve, reject } = Promise.withResolvers<string>();
  // Without a reader yet, a rejection must not end the process.
  code.catch(() => undefined);
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://127.0.0.1");
    if (url.pathname !== CALLBACK) {
      response.writeHead(404).end();
      return;
    }
    const answer = readCallback(url.searchParams, state);
    response.writeHead(answer instanceof Error ? 400 : 200, { "content-type": "text/plain; charset=utf-8" });
    response.end(
      answer instanceof Error ? `Login failed: ${answer.message}\n` : "You are logged in. Close this page.\n",
    );
    if (answer instanceof Error) reject(answer);
    else resolve(answer);
  });
  await listen(server);
  const onAbort = (): void => reject(signal.reason as Error);
  signal.addEventListener("abort", onAbort, { once: true });
  const timer = setTimeout(
    () => reject(new OidcError("expired_token", "nobody has logged in for 10 minutes")),
    WAIT_MS,
  );
  return {
    redirectUri: `http://127.0.0.1:${(server.address() as AddressInfo).port}${CALLBACK}`,
    code,
    close: () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      server.close();
      server.closeAllConnections();
    },
  };
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
}

/** The code, or why there is none. A wrong `state` is an answer to another login, or a forged one. */
function readCallback(query: URLSearchParams, state: string): string | OidcError {
  if (query.get("state") !== state) return new OidcError("invalid_state", "the answer belongs to another login");
  const error = query.get("error");
  if (error !== null) return new OidcError(error, query.get("error_description") ?? error);
  const code = query.get("code");
  return code ?? new OidcError("invalid_request", "the answer holds no code");
}
