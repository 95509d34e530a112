import type { CloudCommand, CloudCommandContext } from "../../../core/ports/cloud.ts";
import { systemClock } from "../../../shared/clock.ts";
import { InvalidValueError } from "../../../shared/errors.ts";
import type { AuthSession, AwsAuth } from "../auth/auth-session.ts";
import { renderIdentity } from "../auth/identity.ts";
import { textField, type JsonObject } from "../auth/json.ts";
import { requireSsoSettings } from "../auth/resolve-sso.ts";
import { readSsoToken, ssoTokenPath } from "../auth/sso-token.ts";
import type { AssumeRoleSource, Source, SsoSource } from "../auth/source.ts";
import { AwsAuthError } from "../errors.ts";
import { loginToSso } from "./login.ts";

/** The answer of `login`: done, or what has to be asked before it can be called again. */
export type LoginAnswer =
  | { readonly done: true; readonly profile: string; readonly account: string; readonly expires_at: string | null }
  | { readonly done: false; readonly needs: "mfa_code"; readonly device: string; readonly role: string };

/**
 * `sky aws login`: opens the session that a profile needs (SSO, or a role with MFA), also one below a chain of roles. Arguments:
 * `profile`, `no_browser`, `mfa_code`.
 */
export function loginCommand(auth: AwsAuth): CloudCommand {
  return { run: (args, context) => runLogin(auth, args, context) };
}

async function runLogin(auth: AwsAuth, args: JsonObject, context: CloudCommandContext): Promise<LoginAnswer> {
  const profile = textField(args, "profile");
  const code = textField(args, "mfa_code");
  const session = auth.open(context, {
    ...(profile === undefined ? {} : { profile }),
    ...(code === undefined ? {} : { askMfa: () => Promise.resolve(code) }),
  });
  const chain = chainOf(session.source);
  const sso = chain.find((source): source is SsoSource => source.kind === "sso");
  const role = chain.find(
    (source): source is AssumeRoleSource => source.kind === "assume-role" && source.mfaSerial !== undefined,
  );
  if (sso === undefined && role === undefined) throw nothingToLogIn(session);
  if (sso !== undefined && code === undefined) {
    await login(sso, { session, context, useBrowser: args["no_browser"] !== true });
  }
  try {
    const identity = renderIdentity(await session.identity({ isFresh: true }));
    const { expiresAtMs } = sso === undefined ? await session.credentials() : { expiresAtMs: expiryOf(sso, session) };
    context.say(`Logged in with profile '${session.profile}' as ${identity}.`);
    const expires = expiresAtMs === undefined ? null : new Date(expiresAtMs).toISOString();
    return { done: true, profile: session.profile, account: identity, expires_at: expires };
  } catch (error) {
    const isAsking = error instanceof AwsAuthError && error.failure === "mfa-needed" && role?.mfaSerial !== undefined;
    if (!isAsking) throw error;
    return { done: false, needs: "mfa_code", device: role.mfaSerial, role: role.roleArn };
  }
}

function chainOf(source: Source): readonly Source[] {
  return source.kind === "assume-role" ? [source, ...chainOf(source.base)] : [source];
}

function nothingToLogIn(session: AuthSession): InvalidValueError {
  const { kind } = session.source;
  const hint =
    kind === "login"
      ? `Run: aws login --profile ${session.profile}`
      : "Choose an SSO profile with --profile, or make one: sky aws configure-sso";
  return new InvalidValueError(
    `The AWS profile '${session.profile}' needs no login here: its credentials are of kind ${kind}.`,
    { hint },
  );
}

async function login(
  source: SsoSource,
  options: { readonly session: AuthSession; readonly context: CloudCommandContext; readonly useBrowser: boolean },
): Promise<void> {
  const { session, context, useBrowser } = options;
  const section = session.files.profiles.get(source.profile) ?? new Map();
  const settings = requireSsoSettings(session.files, source.profile, section);
  await loginToSso(settings, {
    environment: session.load.environment,
    dialog: context,
    context: { ...session.load, clock: systemClock },
    useBrowser,
  });
}

function expiryOf(source: SsoSource, session: AuthSession): number | undefined {
  return readSsoToken(ssoTokenPath(source, session.load.environment))?.expiresAtMs;
}
