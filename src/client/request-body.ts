import { readVariable, type Env } from "../platform/env.ts";
import { loginName } from "../platform/paths.ts";
import { makeRunId } from "../platform/random.ts";
import { loadUserHash } from "../platform/user-hash.ts";

/** Variables that go with every request. A list, not a prefix: tokens and whatever else a shell holds stay at home. */
const FORWARDED = [
  "SKYPILOT_DEBUG",
  "SKYPILOT_DEV",
  "SKYPILOT_DISABLE_USAGE_COLLECTION",
  "SKYPILOT_MINIMIZE_LOGGING",
  "SKYPILOT_SUPPRESS_SENSITIVE_LOG",
  "SKYPILOT_SKIP_CLOUD_IDENTITY_CHECK",
  "SKYPILOT_IGNORE_SERVICE_ACCOUNT_TOKEN",
] as const;

/** Where the credentials of this shell are: only for a server on this machine, which acts as this user. */
const FORWARDED_TO_LOCAL = /^(AWS_|AZURE_)|^(GOOGLE_APPLICATION_CREDENTIALS|KUBECONFIG)$/;

export interface CommonBodyOptions {
  readonly env: Env;
  readonly home: string;
  readonly local: boolean;
  /** Name of the SDK function or command that asks. */
  readonly entrypoint: string;
  /** The user's command line; secrets must be out of it. */
  readonly entrypointCommand: string;
  /** The client's merged config; api_server and admin_policy are left out. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly configPaths: readonly (string | null)[];
}

/** The fields that every operation's body has. */
export function commonBody(options: CommonBodyOptions): Record<string, unknown> {
  const { api_server: _server, admin_policy: _policy, ...config } = options.config;
  return {
    env_vars: forwardedVariables(options),
    entrypoint: options.entrypoint,
    entrypoint_command: options.entrypointCommand,
    using_remote_api_server: !options.local,
    override_skypilot_config: config,
    override_skypilot_config_path: JSON.stringify(options.configPaths),
  };
}

function forwardedVariables(options: CommonBodyOptions): Record<string, string> {
  const { env } = options;
  const variables: Record<string, string> = {};
  for (const name of FORWARDED) {
    const value = env[name];
    if (value !== undefined) variables[name] = value;
  }
  if (options.local) {
    for (const [name, value] of Object.entries(env)) {
      if (value !== undefined && FORWARDED_TO_LOCAL.test(name)) variables[name] = value;
    }
  }
  variables["SKYPILOT_USER_ID"] = loadUserHash(env, options.home);
  variables["SKYPILOT_USER"] = loginName(env);
  variables["SKYPILOT_USAGE_RUN_ID"] = readVariable(env, "SKYPILOT_USAGE_RUN_ID") ?? makeRunId();
  return variables;
}
