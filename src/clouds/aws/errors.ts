import { closestWord } from "../../shared/config/closest.ts";
import { CloudUserIdentityError, type SkyErrorOptions } from "../../shared/errors.ts";

/** Every way in which the caller's identity can fail to be had. */
export type AuthFailure =
  | "clock-skew"
  | "config-invalid"
  | "config-unreadable"
  | "container-failed"
  | "denied"
  | "login-expired"
  | "login-missing"
  | "metadata-failed"
  | "mfa-needed"
  | "mfa-wrong"
  | "network"
  | "no-credentials"
  | "no-default-profile"
  | "partial-credentials"
  | "process-failed"
  | "profile-not-found"
  | "service"
  | "session-expired"
  | "sso-expired"
  | "sso-not-logged-in"
  | "sso-role-refused"
  | "web-identity-failed"
  | "wrong-key";

export interface AwsAuthErrorOptions extends SkyErrorOptions {
  /** The profile that `sky aws login --profile` can repair. */
  readonly loginProfile?: string;
}

/** The AWS credentials cannot be used; the hint holds the commands that repair it. */
export class AwsAuthError extends CloudUserIdentityError {
  readonly failure: AuthFailure;
  /** Set when a login repairs it. */
  readonly loginProfile: string | undefined;
  constructor(failure: AuthFailure, message: string, options?: AwsAuthErrorOptions) {
    // Most messages end in AWS's own words, which may lack the full stop before the hint.
    super(/[.!?]$/u.test(message) ? message : `${message}.`, options);
    this.failure = failure;
    this.loginProfile = options?.loginProfile;
  }
}

/** The failure as `sky check` prints it: what happened, then the commands. */
export function renderReason(error: AwsAuthError): string {
  return error.hint === undefined ? error.message : `${error.message} ${error.hint}`;
}

const QUICKSTART = "https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-quickstart.html";
const FILES = "https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html";
const SSO = "https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-sso.html";
const ROLES = "https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-role.html";
const LOGIN = "https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-sign-in.html";

function repair(commands: readonly string[], link?: string): string {
  const lines = [`Run the following command${commands.length === 1 ? "" : "s"}:`];
  for (const command of commands) lines.push(`      $ ${command}`);
  if (link !== undefined) lines.push(`    For more info: ${link}`);
  return lines.join("\n");
}

const STATIC = repair(["aws configure", "aws configure list  # Ensure that this shows identity is set."], QUICKSTART);

function cliProfile(profile: string): string {
  return profile === "default" ? "" : ` --profile ${/^[\w.@+-]+$/u.test(profile) ? profile : `'${profile}'`}`;
}

function ssoRepair(profile: string): string {
  const option = cliProfile(profile);
  return repair([`sky aws login${option}`, `aws sso login${option}  # The same with AWS CLI v2.`], SSO);
}

export function noCredentials(looked: readonly string[]): AwsAuthError {
  return new AwsAuthError("no-credentials", "AWS credentials are not set.", {
    hint: `${STATIC}\n    Details: looked at ${looked.join("; ")}.`,
  });
}

export function noDefaultProfile(profiles: readonly string[]): AwsAuthError {
  const names = profiles.join(", ");
  return new AwsAuthError(
    "no-default-profile",
    `AWS credentials are not set. profiles found: ${names}; none is named \`default\` and AWS_PROFILE is not set.`,
    { hint: repair([`export AWS_PROFILE=${profiles[0] ?? ""}`, "sky check aws"], FILES) },
  );
}

export function profileNotFound(
  profile: string,
  found: { readonly profiles: readonly string[]; readonly namedBy: string; readonly near?: string },
): AwsAuthError {
  const known = found.profiles.length === 0 ? "there are no profiles" : `profiles found: ${found.profiles.join(", ")}`;
  const form = found.near === undefined ? "" : ` ${found.near}`;
  const meant = closestWord(profile, found.profiles);
  // A variable has no say where the config names the profile.
  const isVariable = found.namedBy.startsWith("AWS_");
  const near = meant === undefined ? "<profile>" : `${meant}  # If that is the one you mean.`;
  return new AwsAuthError(
    "profile-not-found",
    `The AWS profile '${profile}' (named by ${found.namedBy}) does not exist; ${known}.${form}`,
    {
      hint: repair(
        [`aws configure${cliProfile(profile)}`, ...(isVariable ? [`export ${found.namedBy}=${near}`] : [])],
        FILES,
      ),
    },
  );
}

export function configUnreadable(path: string, reason: string, options?: ErrorOptions): AwsAuthError {
  return new AwsAuthError("config-unreadable", `${path} cannot be read: ${reason}.`, {
    ...options,
    hint: "Correct the file, then run: sky check aws",
  });
}

export function configInvalid(message: string): AwsAuthError {
  return new AwsAuthError("config-invalid", `Invalid AWS configuration. ${message}`, {
    hint: "Correct it in ~/.aws/config, then run: sky check aws",
  });
}

export function partialCredentials(where: string, missing: string): AwsAuthError {
  return new AwsAuthError("partial-credentials", `AWS credentials in ${where} are incomplete: ${missing} is missing.`, {
    hint: STATIC,
  });
}

export function ssoNotLoggedIn(profile: string, session: string): AwsAuthError {
  return new AwsAuthError(
    "sso-not-logged-in",
    `AWS profile '${profile}' uses IAM Identity Center (${session}), and nobody has logged in yet.`,
    { hint: ssoRepair(profile), loginProfile: profile },
  );
}

export function ssoExpired(profile: string): AwsAuthError {
  return new AwsAuthError("sso-expired", `AWS access token is expired (SSO profile '${profile}').`, {
    hint: ssoRepair(profile),
    loginProfile: profile,
  });
}

export function ssoRoleRefused(profile: string, role: string, account: string, detail: string): AwsAuthError {
  return new AwsAuthError(
    "sso-role-refused",
    `IAM Identity Center refuses the role ${role} in account ${account} (profile '${profile}'): ${detail}`,
    {
      hint: `${repair([`sky aws configure-sso${cliProfile(profile)}`], SSO)}\n    It lists the accounts and roles that you may use.`,
    },
  );
}

export function loginMissing(profile: string): AwsAuthError {
  return new AwsAuthError(
    "login-missing",
    `AWS profile '${profile}' uses \`aws login\`, and nobody has logged in yet.`,
    {
      hint: repair([`aws login${cliProfile(profile)}`], LOGIN),
    },
  );
}

export function loginExpired(profile: string, detail: string): AwsAuthError {
  return new AwsAuthError("login-expired", `The \`aws login\` session of profile '${profile}' is over: ${detail}`, {
    hint: repair([`aws login${cliProfile(profile)}`], LOGIN),
  });
}

/** `where` says whose keys they are, `commands` get new ones; there are none where a service of the machine renews them. */
export function sessionExpired(where: string, commands: readonly string[]): AwsAuthError {
  return new AwsAuthError("session-expired", `The temporary AWS credentials from ${where} have expired.`, {
    hint:
      commands.length === 0 ? "Whatever gives them out has to renew them; then run: sky check aws" : repair(commands),
  });
}

/** Keys of a session are nothing without its token; `commands` set it. */
export function tokenMissing(where: string, keyId: string, commands: readonly string[]): AwsAuthError {
  return new AwsAuthError(
    "partial-credentials",
    `The key ${maskKeyId(keyId)} from ${where} belongs to a temporary session, and the session token is missing.`,
    { hint: repair(commands) },
  );
}

export function wrongKey(where: string, keyId: string, detail: string): AwsAuthError {
  return new AwsAuthError(
    "wrong-key",
    "Failed to access AWS services with credentials. Make sure that the access and secret keys are correct. " +
      `The key ${maskKeyId(keyId)} comes from ${where}.`,
    { hint: `${STATIC}\n    Details: ${detail}` },
  );
}

/** Key ids are no secrets, but nobody needs more than the end to know which one is meant. */
export function maskKeyId(keyId: string): string {
  return keyId.length <= 4 ? keyId : `****${keyId.slice(-4)}`;
}

export function clockSkew(skewMs: number, detail: string): AwsAuthError {
  const minutes = Math.max(1, Math.round(Math.abs(skewMs) / 60_000));
  const side = skewMs > 0 ? "behind" : "ahead of";
  return new AwsAuthError("clock-skew", `This machine's clock is ${minutes} min ${side} AWS's: ${detail}`, {
    hint: repair(["sudo timedatectl set-ntp true", "date -u"]),
  });
}

export function denied(action: string, principal: string, detail: string, resource?: string): AwsAuthError {
  const on = resource === undefined ? "" : ` on ${resource}`;
  const statement = JSON.stringify({ Effect: "Allow", Action: action, Resource: resource ?? "*" });
  const trust =
    action === "sts:AssumeRole"
      ? "\n    The trust policy of the role must name the caller too, and external_id be what it asks for."
      : "";
  return new AwsAuthError("denied", `AWS denies ${action}${on} to ${principal}: ${detail}`, {
    hint: `Ask an administrator to allow it:\n      ${statement}${trust}\n    For more info: ${ROLES}`,
  });
}

export function mfaNeeded(profile: string, serial: string, role: string): AwsAuthError {
  return new AwsAuthError(
    "mfa-needed",
    `The role ${role} (profile '${profile}') needs a code of the MFA device ${serial}.`,
    { hint: repair([`sky aws login${cliProfile(profile)}`], ROLES), loginProfile: profile },
  );
}

export function mfaWrong(profile: string, serial: string, detail: string): AwsAuthError {
  return new AwsAuthError("mfa-wrong", `AWS refuses the code of the MFA device ${serial}: ${detail}`, {
    hint: repair([`sky aws login${cliProfile(profile)}`], ROLES),
    loginProfile: profile,
  });
}

export function webIdentityFailed(role: string, detail: string, hint: string): AwsAuthError {
  return new AwsAuthError("web-identity-failed", `The web identity for the role ${role} is not accepted: ${detail}`, {
    hint,
  });
}

export function processFailed(profile: string, command: string, detail: string): AwsAuthError {
  return new AwsAuthError("process-failed", `The credential_process of AWS profile '${profile}' failed: ${detail}`, {
    hint: repair([command]),
  });
}

export function containerFailed(url: string, detail: string): AwsAuthError {
  return new AwsAuthError(
    "container-failed",
    `The container credentials endpoint ${url} gave no credentials: ${detail}`,
    {
      hint: "Check that a task role (ECS) or a pod identity association (EKS) is set for this container.",
    },
  );
}

export function metadataFailed(detail: string): AwsAuthError {
  return new AwsAuthError("metadata-failed", `The instance metadata service gave no credentials: ${detail}`, {
    hint: "Check that an instance profile is attached to this instance and that IMDSv2 is allowed (hop limit 2 in containers).",
  });
}

export function noNetwork(host: string, detail: string, options?: ErrorOptions): AwsAuthError {
  return new AwsAuthError("network", `${host} cannot be reached: ${detail}.`, {
    ...options,
    hint: "Check the network of the machine that calls AWS (DNS, proxy, firewall), then run: sky check aws",
  });
}

export function serviceFailed(what: string, detail: string, options?: ErrorOptions): AwsAuthError {
  return new AwsAuthError("service", `${what} failed: ${detail}`, {
    ...options,
    hint: "If AWS has trouble (https://health.aws.amazon.com/health/status), wait for it; then run: sky check aws",
  });
}
