import { noCredentials, noDefaultProfile, profileNotFound, type AwsAuthError } from "../errors.ts";
import { profileVariable, variable } from "./environment.ts";
import {
  containerSource,
  envSource,
  hasNoMetadata,
  isRole,
  resolveProfile,
  type ResolveInput,
} from "./resolve-profile.ts";
import { resolveRole } from "./resolve-role.ts";
import type { SharedFiles } from "./shared-files.ts";
import type { Source } from "./source.ts";

/**
 * Walks the chain of botocore without any call: variables, then what the profile says, then the container's endpoint, then
 * instance metadata. Throws AwsAuthError when the configuration is wrong.
 */
export function resolveSource(input: ResolveInput): Source {
  const { files, environment, configuredProfile } = input;
  const named = configuredProfile ?? profileVariable(environment);
  if (named !== undefined && !files.profiles.has(named)) throw missingProfile(named, input);
  const profile = named ?? "default";
  const env = configuredProfile === undefined ? envSource(environment) : undefined;
  if (env !== undefined) return env;
  const section = files.profiles.get(profile);
  if (section !== undefined && isRole(section)) return resolveRole(input, profile, []);
  const found = resolveProfile(input, profile, configuredProfile === undefined) ?? containerSource(environment);
  if (found !== undefined) return found;
  if (hasNoMetadata(environment)) throw nothingFound(input, "switched off by AWS_EC2_METADATA_DISABLED");
  return { kind: "iam-role" };
}

/** The error when the whole chain has given nothing; `metadata` says why the last link did not. */
export function nothingFound(input: ResolveInput, metadata: string): AwsAuthError {
  const { files, environment, configuredProfile } = input;
  const named = configuredProfile ?? profileVariable(environment);
  const names = usableProfiles(files);
  if (named === undefined && !files.profiles.has("default") && names.length > 0) return noDefaultProfile(names);
  return noCredentials([
    ...(configuredProfile === undefined ? ["the environment (AWS_ACCESS_KEY_ID is not set)"] : []),
    `profile '${named ?? "default"}' in ${files.configPath} and ${files.credentialsPath} (no credentials)`,
    "the container endpoint (none)",
    `instance metadata (${metadata})`,
  ]);
}

/** Profiles that lead to credentials, for messages. */
export function usableProfiles(files: SharedFiles): readonly string[] {
  const keys = ["aws_access_key_id", "role_arn", "sso_account_id", "login_session", "credential_process"];
  return [...files.profiles].filter(([, section]) => keys.some((key) => section.has(key))).map(([name]) => name);
}

function missingProfile(profile: string, input: ResolveInput): Error {
  const { files, environment, configuredProfile } = input;
  const namedBy =
    configuredProfile !== undefined
      ? "aws.profile in the workspace's config"
      : variable(environment, "AWS_DEFAULT_PROFILE") === undefined
        ? "AWS_PROFILE"
        : "AWS_DEFAULT_PROFILE";
  return profileNotFound(profile, { profiles: [...files.profiles.keys()], namedBy, ...nearMiss(profile, files) });
}

/** The two files name profiles differently, and it is easy to use one's form in the other. */
function nearMiss(profile: string, files: SharedFiles): { readonly near?: string } {
  if (files.otherSections.includes(profile)) {
    return { near: `${files.configPath} has [${profile}]; there it must be [profile ${profile}].` };
  }
  if (files.profiles.has(`profile ${profile}`)) {
    return { near: `${files.credentialsPath} has [profile ${profile}]; there it must be [${profile}].` };
  }
  return {};
}
