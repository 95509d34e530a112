import { readFileSync } from "node:fs";
import { writeFileAtomic } from "../../../platform/atomic-file.ts";
import type { CloudCommand, CloudCommandContext } from "../../../core/ports/cloud.ts";
import { systemClock } from "../../../shared/clock.ts";
import { InvalidValueError } from "../../../shared/errors.ts";
import type { AwsAuth } from "../auth/auth-session.ts";
import { configPath } from "../auth/environment.ts";
import { textField, type JsonObject } from "../auth/json.ts";
import type { SsoSettings } from "../auth/resolve-sso.ts";
import { textOption, type SharedFiles } from "../auth/shared-files.ts";
import { readSsoToken, ssoTokenPath, type SsoToken } from "../auth/sso-token.ts";
import { ssoNotLoggedIn } from "../errors.ts";
import { editSection, profileHeader } from "./config-edit.ts";
import { loginToSso } from "./login.ts";
import { listAccounts, listRoles } from "./portal.ts";

/**
 * `sky aws configure-sso`, one `step` a call so that the user's terminal can ask in between: `known` (with `profile` or
 * `session_name`) answers what the config file says of them, `login` answers `{accounts}`, `roles` (with `account_id`) answers
 * `{roles}`, `write` (with `profile`, `account_id`, `role`, `default_region`) writes the config file. The last three take
 * `session_name`, `start_url` and `region`.
 */
export function configureSsoCommand(auth: AwsAuth): CloudCommand {
  return {
    run: async (args, context) => {
      const step = textField(args, "step") ?? "";
      switch (step) {
        case "known":
          return findKnown(auth.readFiles(auth.environmentOf(context)), args);
        case "login":
          return { accounts: await login(auth, args, context) };
        case "roles": {
          const setup = readSetup(auth, args, context);
          return { roles: await listRoles(requireToken(setup), required(args, "account_id"), setup.load) };
        }
        case "write":
          return writeProfile(auth, args, context);
        default:
          throw new InvalidValueError(`configure-sso has the steps known, login, roles and write, not '${step}'.`);
      }
    },
  };
}

/** The settings of an SSO session that is written down already. */
function findKnown(files: SharedFiles, args: JsonObject): Readonly<Record<string, string | undefined>> {
  const section = files.profiles.get(textField(args, "profile") ?? "");
  const name = textField(args, "session_name") ?? textOption(section, "sso_session");
  const session = name === undefined ? section : files.ssoSessions.get(name);
  return {
    session_name: name,
    start_url: textOption(session, "sso_start_url"),
    region: textOption(session, "sso_region"),
  };
}

type Setup = ReturnType<typeof readSetup>;

function readSetup(auth: AwsAuth, args: JsonObject, context: CloudCommandContext) {
  const environment = auth.environmentOf(context);
  const files = auth.readFiles(environment);
  const settings: SsoSettings = {
    sessionName: required(args, "session_name"),
    startUrl: checkUrl(required(args, "start_url")),
    ssoRegion: required(args, "region"),
    scopes: ["sso:account:access"],
  };
  const load = auth.loadContext(environment, { files, profile: "default", region: undefined, signal: context.signal });
  return { environment, settings, load };
}

function required(args: JsonObject, name: string): string {
  const value = textField(args, name);
  if (value === undefined) throw new InvalidValueError(`${name} is missing.`);
  if (/[\r\n[\]]/u.test(value)) throw new InvalidValueError(`${name} may hold neither brackets nor line breaks.`);
  return value;
}

function checkUrl(url: string): string {
  if (!/^https?:\/\//u.test(url) || !URL.canParse(url)) {
    throw new InvalidValueError(`'${url}' is not a start URL; it looks like https://my-company.awsapps.com/start.`);
  }
  return url;
}

async function login(auth: AwsAuth, args: JsonObject, context: CloudCommandContext): Promise<unknown> {
  const { environment, settings, load } = readSetup(auth, args, context);
  const token = await loginToSso(settings, {
    environment,
    dialog: context,
    context: { ...load, clock: systemClock },
    useBrowser: args["no_browser"] !== true,
  });
  return listAccounts(token, load);
}

function requireToken({ settings, environment }: Setup): SsoToken {
  const token = readSsoToken(ssoTokenPath(settings, environment));
  if (token === undefined) throw ssoNotLoggedIn("default", settings.startUrl);
  return token;
}

function writeProfile(auth: AwsAuth, args: JsonObject, context: CloudCommandContext): unknown {
  const { environment, settings } = readSetup(auth, args, context);
  const profile = required(args, "profile");
  const region = textField(args, "default_region");
  const path = configPath(environment);
  const session = settings.sessionName ?? "";
  const withSession = editSection(readText(path), {
    header: `sso-session ${session}`,
    options: {
      sso_start_url: settings.startUrl,
      sso_region: settings.ssoRegion,
      sso_registration_scopes: settings.scopes.join(","),
    },
  });
  const text = editSection(withSession, {
    header: profileHeader(profile),
    options: {
      sso_session: session,
      sso_account_id: required(args, "account_id"),
      sso_role_name: required(args, "role"),
      ...(region === undefined ? {} : { region }),
    },
    remove: ["sso_start_url", "sso_region", "role_arn", "source_profile", "credential_process", "login_session"],
  });
  writeFileAtomic(path, text, { mode: 0o600, directoryMode: 0o700 });
  context.say(`Wrote profile '${profile}' to ${path}.`);
  return { profile, path };
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // The first profile of this user.
    return "";
  }
}
