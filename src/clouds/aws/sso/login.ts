import type { Clock } from "../../../shared/clock.ts";
import type { AwsEnvironment } from "../auth/environment.ts";
import type { SsoSettings } from "../auth/resolve-sso.ts";
import { ssoTokenPath, writeSsoToken, type SsoToken } from "../auth/sso-token.ts";
import { AwsAuthError, serviceFailed } from "../errors.ts";
import { loginWithBrowser } from "./code-flow.ts";
import { loginWithDevice } from "./device-flow.ts";
import type { LoginDialog } from "./dialog.ts";
import { OidcError, type OidcContext } from "./oidc.ts";

/**
 * Logs in and leaves the token where the AWS CLI v2 and the SDKs look for it, readable by the user alone. The legacy form, which
 * names no sso-session, knows the device flow only. Throws AwsAuthError.
 */
export async function loginToSso(
  settings: SsoSettings,
  options: {
    readonly environment: AwsEnvironment;
    readonly dialog: LoginDialog;
    readonly context: OidcContext & { readonly clock: Clock };
    readonly useBrowser: boolean;
  },
): Promise<SsoToken> {
  const { environment, dialog, context } = options;
  const isCodeFlow = options.useBrowser && settings.sessionName !== undefined;
  try {
    const token = await (isCodeFlow
      ? loginWithBrowser(settings, dialog, context)
      : loginWithDevice(settings, dialog, context));
    writeSsoToken(ssoTokenPath(settings, environment), token);
    return token;
  } catch (error) {
    throw error instanceof OidcError ? explain(error, settings) : error;
  }
}

function explain(error: OidcError, settings: SsoSettings): AwsAuthError {
  const where = `The login to ${settings.startUrl}`;
  const again = { hint: "Run the login again." };
  switch (error.code) {
    case "access_denied":
      return new AwsAuthError("denied", `${where} was refused in the browser.`, again);
    case "expired_token":
      return new AwsAuthError("sso-not-logged-in", `${where} was not confirmed in time.`, again);
    case "invalid_request":
      return new AwsAuthError("config-invalid", `${where} is not possible: ${error.message}`, {
        hint: "Check sso_start_url and sso_region in ~/.aws/config.",
      });
    default:
      return serviceFailed(where, `[${error.code}] ${error.message}`);
  }
}
