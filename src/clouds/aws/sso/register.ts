import { Secret } from "../../../shared/secret.ts";
import { textField } from "../auth/json.ts";
import type { SsoSettings } from "../auth/resolve-sso.ts";
import { serviceFailed } from "../errors.ts";
import { callOidc, type ClientRegistration, type OidcContext } from "./oidc.ts";

const DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";

/** Introduces this program to the SSO service, as each login does. Throws OidcError. */
export async function registerClient(
  settings: SsoSettings,
  flow: { readonly redirectUri?: string },
  context: OidcContext,
): Promise<ClientRegistration> {
  const answer = await callOidc(
    "/client/register",
    {
      region: settings.ssoRegion,
      body: {
        clientName: `skypilot-${Math.floor(context.time.now() / 1000)}`,
        clientType: "public",
        // The legacy form has no scopes, and so no token that could be renewed.
        ...(settings.sessionName === undefined ? {} : { scopes: settings.scopes }),
        ...(flow.redirectUri === undefined
          ? settings.sessionName === undefined
            ? {}
            : { grantTypes: [DEVICE_GRANT, "refresh_token"] }
          : {
              grantTypes: ["authorization_code", "refresh_token"],
              redirectUris: [flow.redirectUri],
              issuerUrl: settings.startUrl,
            }),
      },
    },
    context,
  );
  const clientId = textField(answer, "clientId");
  const clientSecret = textField(answer, "clientSecret");
  const seconds = answer["clientSecretExpiresAt"];
  if (clientId === undefined || clientSecret === undefined || typeof seconds !== "number") {
    throw serviceFailed("SSO login", "the registration holds no client");
  }
  return { clientId, clientSecret: new Secret(clientSecret), expiresAtMs: seconds * 1000 };
}
