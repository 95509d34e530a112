import { Secret } from "../../../shared/secret.ts";
import { parseObject, textField, type JsonObject } from "../auth/json.ts";
import { serviceFailed } from "../errors.ts";
import type { LoadContext } from "../auth/load-context.ts";
import { send } from "../auth/network.ts";
import type { SsoToken } from "../auth/sso-token.ts";

export type OidcContext = Pick<LoadContext, "agents" | "time" | "signal" | "endpoint">;

/** A refusal of the OIDC service; `code` is OAuth's, e.g. `authorization_pending`. */
export class OidcError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = "OidcError";
    this.code = code;
  }
}

/** Calls SSO-OIDC. Throws OidcError on a refusal and AwsAuthError when no answer comes. */
export async function callOidc(
  path: string,
  call: { readonly region: string; readonly body: JsonObject },
  context: OidcContext,
): Promise<JsonObject> {
  const url = `${context.endpoint("sso-oidc", call.region)}${path}`;
  const headers = { "content-type": "application/json", accept: "application/json" };
  const body = JSON.stringify(call.body);
  const answer = await send({ url, method: "POST", headers, body, timeoutMs: 15_000 }, context);
  const parsed = parseObject(answer.text);
  if (answer.status === 200 && parsed !== undefined) return parsed;
  const code = textField(parsed, "error") ?? `status ${answer.status}`;
  throw new OidcError(code, textField(parsed, "error_description") ?? code);
}

export interface ClientRegistration {
  readonly clientId: string;
  readonly clientSecret: Secret;
  readonly expiresAtMs: number;
}

/** Asks for a token, whatever the grant. Throws OidcError. */
export async function createToken(
  grant: JsonObject,
  from: { readonly registration: ClientRegistration; readonly region: string; readonly startUrl: string },
  context: OidcContext,
): Promise<SsoToken> {
  const { registration, region, startUrl } = from;
  const answer = await callOidc(
    "/token",
    {
      region,
      body: { clientId: registration.clientId, clientSecret: registration.clientSecret.reveal(), ...grant },
    },
    context,
  );
  const accessToken = textField(answer, "accessToken");
  const seconds = answer["expiresIn"];
  if (accessToken === undefined || typeof seconds !== "number") {
    throw serviceFailed("SSO login", "the answer holds no access token");
  }
  const refreshToken = textField(answer, "refreshToken");
  return {
    startUrl,
    region,
    accessToken: new Secret(accessToken),
    expiresAtMs: context.time.now() + seconds * 1000,
    ...(refreshToken === undefined
      ? {}
      : {
          refresh: {
            refreshToken: new Secret(refreshToken),
            clientId: registration.clientId,
            clientSecret: registration.clientSecret,
            registrationExpiresAtMs: registration.expiresAtMs,
          },
        }),
  };
}

/** Renews a token without the user; undefined when that is not possible any more. */
export async function refreshSsoToken(token: SsoToken, context: OidcContext): Promise<SsoToken | undefined> {
  const { refresh } = token;
  if (refresh === undefined || refresh.registrationExpiresAtMs <= context.time.now()) return undefined;
  const registration = {
    clientId: refresh.clientId,
    clientSecret: refresh.clientSecret,
    expiresAtMs: refresh.registrationExpiresAtMs,
  };
  try {
    return await createToken(
      { grantType: "refresh_token", refreshToken: refresh.refreshToken.reveal() },
      { registration, region: token.region, startUrl: token.startUrl },
      context,
    );
  } catch (error) {
    if (error instanceof OidcError) return undefined;
    throw error;
  }
}
