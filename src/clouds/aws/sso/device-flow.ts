import type { Clock } from "../../../shared/clock.ts";
import { textField } from "../auth/json.ts";
import type { SsoSettings } from "../auth/resolve-sso.ts";
import type { SsoToken } from "../auth/sso-token.ts";
import { serviceFailed } from "../errors.ts";
import type { LoginDialog } from "./dialog.ts";
import { callOidc, createToken, OidcError, type OidcContext } from "./oidc.ts";
import { registerClient } from "./register.ts";

const DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";

/** Logs in with a code that the user confirms in any browser, also on another machine. Throws OidcError. */
export async function loginWithDevice(
  settings: SsoSettings,
  dialog: LoginDialog,
  context: OidcContext & { readonly clock: Clock },
): Promise<SsoToken> {
  const registration = await registerClient(settings, {}, context);
  const answer = await callOidc(
    "/device_authorization",
    {
      region: settings.ssoRegion,
      body: {
        clientId: registration.clientId,
        clientSecret: registration.clientSecret.reveal(),
        startUrl: settings.startUrl,
      },
    },
    context,
  );
  const deviceCode = textField(answer, "deviceCode");
  const userCode = textField(answer, "userCode");
  const page = textField(answer, "verificationUri");
  if (deviceCode === undefined || userCode === undefined || page === undefined) {
    throw serviceFailed("SSO login", "the answer holds no code to confirm");
  }
  const complete = textField(answer, "verificationUriComplete");
  dialog.say(`Open this page in a browser: ${complete ?? page}`);
  dialog.say(`and confirm the code: ${userCode}`);
  dialog.openUrl(complete ?? page);
  let intervalMs = 1000 * (typeof answer["interval"] === "number" ? answer["interval"] : 5);
  for (;;) {
    try {
      return await createToken(
        { grantType: DEVICE_GRANT, deviceCode },
        { registration, region: settings.ssoRegion, startUrl: settings.startUrl },
        context,
      );
    } catch (error) {
      if (!(error instanceof OidcError)) throw error;
      if (error.code === "slow_down") intervalMs += 5000;
      else if (error.code !== "authorization_pending") throw error;
    }
    await context.clock.sleep(intervalMs, { signal: context.signal });
  }
}
