import { Secret } from "../../../shared/secret.ts";
import { serviceFailed, ssoExpired, ssoNotLoggedIn, ssoRoleRefused } from "../errors.ts";
import { refreshSsoToken } from "../sso/oidc.ts";
import { DEAD_ZONE_MS, REFRESH_AHEAD_MS } from "./lifetime.ts";
import { objectField, parseObject, textField, timeField } from "./json.ts";
import type { LoadContext } from "./load-context.ts";
import { send } from "./network.ts";
import type { Credentials, SsoSource } from "./source.ts";
import { readSsoToken, ssoTokenPath, writeSsoToken, type SsoToken } from "./sso-token.ts";

/** Gets the role's keys from the SSO portal with the token of the last login. Throws AwsAuthError. */
export async function loadSso(source: SsoSource, context: LoadContext): Promise<Credentials> {
  const token = await currentToken(source, context);
  const query = new URLSearchParams({ role_name: source.roleName, account_id: source.accountId });
  const url = `${context.endpoint("sso", source.ssoRegion)}/federation/credentials?${query.toString()}`;
  const headers = { accept: "application/json", "x-amz-sso_bearer_token": token.accessToken.reveal() };
  const answer = await send({ url, method: "GET", headers, timeoutMs: 10_000 }, context);
  const body = parseObject(answer.text);
  const message = textField(body, "message") ?? `status ${answer.status}`;
  if (answer.status === 401) throw ssoExpired(source.profile);
  if (answer.status === 403 || answer.status === 404) {
    throw ssoRoleRefused(source.profile, source.roleName, source.accountId, message);
  }
  const role = objectField(body, "roleCredentials");
  const accessKeyId = textField(role, "accessKeyId");
  const secret = textField(role, "secretAccessKey");
  const sessionToken = textField(role, "sessionToken");
  const expiresAtMs = timeField(role, "expiration");
  if (accessKeyId === undefined || secret === undefined || sessionToken === undefined || expiresAtMs === undefined) {
    throw serviceFailed(`The SSO portal's GetRoleCredentials for profile '${source.profile}'`, message);
  }
  return {
    accessKeyId,
    secretAccessKey: new Secret(secret),
    sessionToken: new Secret(sessionToken),
    expiresAtMs,
    accountId: source.accountId,
  };
}

/** The token of the last login, renewed when its end is near and it can be. */
async function currentToken(source: SsoSource, context: LoadContext): Promise<SsoToken> {
  const path = ssoTokenPath(source, context.environment);
  const token = readSsoToken(path);
  if (token === undefined) throw ssoNotLoggedIn(source.profile, source.sessionName ?? source.startUrl);
  const leftMs = token.expiresAtMs - context.time.now();
  if (leftMs > REFRESH_AHEAD_MS) return token;
  const renewed = source.sessionName === undefined ? undefined : await refreshSsoToken(token, context);
  if (renewed !== undefined) {
    writeSsoToken(path, renewed);
    return renewed;
  }
  if (leftMs <= DEAD_ZONE_MS) throw ssoExpired(source.profile);
  return token;
}
