import { join } from "node:path";
import { AWS_IDENTITY_VARIABLES, withoutAwsIdentity } from "../../../platform/aws-variables.ts";

/** What the credential chain sees of the process: variables and HOME, as values. */
export interface AwsEnvironment {
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Lays the client's variables over the server's. Identity variables are taken as one set: a client's AWS_PROFILE must not meet
 * the server's access key, nor a client's key the server's session token.
 */
export function overlayEnv(
  server: Readonly<Record<string, string | undefined>>,
  client: Readonly<Record<string, string>>,
): Readonly<Record<string, string | undefined>> {
  const speaks = AWS_IDENTITY_VARIABLES.some((name) => isGiven(client[name]));
  return { ...(speaks ? withoutAwsIdentity(server) : server), ...client };
}

function isGiven(value: string | undefined): value is string {
  return value !== undefined && value !== "";
}

/** Reads a variable; empty means not set. */
export function variable(environment: AwsEnvironment, name: string): string | undefined {
  const value = environment.env[name];
  return isGiven(value) ? value : undefined;
}

/** The profile that the variables name; AWS_DEFAULT_PROFILE wins, as in the AWS CLI. */
export function profileVariable(environment: AwsEnvironment): string | undefined {
  return variable(environment, "AWS_DEFAULT_PROFILE") ?? variable(environment, "AWS_PROFILE");
}

export function configPath(environment: AwsEnvironment): string {
  return expandPath(variable(environment, "AWS_CONFIG_FILE") ?? "~/.aws/config", environment);
}

export function credentialsPath(environment: AwsEnvironment): string {
  return expandPath(variable(environment, "AWS_SHARED_CREDENTIALS_FILE") ?? "~/.aws/credentials", environment);
}

export function ssoCacheDirectory(environment: AwsEnvironment): string {
  return join(environment.home, ".aws", "sso", "cache");
}

export function roleCacheDirectory(environment: AwsEnvironment): string {
  return join(environment.home, ".aws", "cli", "cache");
}

export function loginCacheDirectory(environment: AwsEnvironment): string {
  const configured = variable(environment, "AWS_LOGIN_CACHE_DIRECTORY");
  return configured === undefined
    ? join(environment.home, ".aws", "login", "cache")
    : expandPath(configured, environment);
}

/** Replaces `~`, `$NAME` and `${NAME}`; an unknown variable stays as it is written. */
export function expandPath(path: string, environment: AwsEnvironment): string {
  const expanded = path.replaceAll(/\$(\w+)|\$\{([^}]*)\}/gu, (whole, plain?: string, braced?: string) => {
    return environment.env[plain ?? braced ?? ""] ?? whole;
  });
  if (expanded === "~") return environment.home;
  return expanded.startsWith("~/") ? join(environment.home, expanded.slice(2)) : expanded;
}
