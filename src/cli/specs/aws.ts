import { commandSpec, flag, text } from "../parser/spec.ts";
import { configOption } from "./shared-options.ts";

const profile = text("--profile", "The AWS profile; by default AWS_PROFILE, else `default`.");
const noBrowser = flag("--no-browser", "Show a code to confirm in any browser, also on another machine.");

export const awsLoginSpec = commandSpec({
  help:
    "Log in to AWS for a profile that uses IAM Identity Center (SSO), or a role with MFA.\n\n" +
    "The AWS CLI is not needed, and finds the login too. With IAM Identity Center a browser opens.",
  args: {},
  options: { config: configOption, profile, noBrowser },
});

export const awsConfigureSsoSpec = commandSpec({
  help:
    "Make an AWS profile that uses IAM Identity Center (SSO).\n\n" +
    "Asks for what is not given, logs in, and lets you pick account and role from lists.",
  args: {},
  options: {
    config: configOption,
    profile: text("--profile", "Name of the profile to write."),
    session: text("--session", "Name of the SSO session."),
    startUrl: text("--start-url", "Start URL, such as https://my-company.awsapps.com/start."),
    ssoRegion: text("--sso-region", "Region of IAM Identity Center."),
    account: text("--account", "Id of the account."),
    role: text("--role", "Name of the role (permission set)."),
    region: text("--region", "Region that the profile uses."),
    noBrowser,
  },
});
