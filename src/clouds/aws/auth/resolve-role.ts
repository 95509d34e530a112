import { configInvalid } from "../errors.ts";
import { variable } from "./environment.ts";
import type { IniSection } from "../../../shared/ini.ts";
import {
  containerSource,
  envSource,
  hasNoMetadata,
  isRole,
  resolveProfile,
  type ResolveInput,
} from "./resolve-profile.ts";
import { textOption } from "./shared-files.ts";
import type { AssumeRoleSource, Source } from "./source.ts";

/**
 * Follows `source_profile` and `credential_source` down to the credentials that ask for the first role. `visited` holds the
 * profiles above this one. Throws AwsAuthError on loops and on what is missing.
 */
export function resolveRole(input: ResolveInput, profile: string, visited: readonly string[]): AssumeRoleSource {
  const section = input.files.profiles.get(profile) ?? new Map();
  const path = [...visited, profile];
  const externalId = textOption(section, "external_id");
  const mfaSerial = textOption(section, "mfa_serial");
  const sessionName = textOption(section, "role_session_name");
  const duration = /^\s*\d+\s*$/u.exec(textOption(section, "duration_seconds") ?? "")?.[0];
  return {
    kind: "assume-role",
    profile,
    roleArn: textOption(section, "role_arn") ?? "",
    base: resolveBase(input, section, path),
    ...(externalId === undefined ? {} : { externalId }),
    ...(mfaSerial === undefined ? {} : { mfaSerial }),
    ...(sessionName === undefined ? {} : { sessionName }),
    ...(duration === undefined ? {} : { durationSeconds: Number(duration) }),
  };
}

function resolveBase(input: ResolveInput, section: IniSection, path: readonly string[]): Source {
  const profile = path.at(-1) ?? "";
  const sourceProfile = textOption(section, "source_profile");
  const credentialSource = textOption(section, "credential_source");
  if (sourceProfile !== undefined && credentialSource !== undefined) {
    throw configInvalid(`The profile '${profile}' has both source_profile and credential_source; only one may be set.`);
  }
  if (credentialSource !== undefined) return namedSource(input, profile, credentialSource);
  if (sourceProfile === undefined) {
    throw configInvalid(`The profile '${profile}' has role_arn, but neither source_profile nor credential_source.`);
  }
  return fromProfile(input, sourceProfile, path);
}

function fromProfile(input: ResolveInput, sourceProfile: string, path: readonly string[]): Source {
  const profile = path.at(-1) ?? "";
  const section = input.files.profiles.get(sourceProfile);
  if (section === undefined) {
    throw configInvalid(`The source_profile '${sourceProfile}' of profile '${profile}' does not exist.`);
  }
  const hasKeys = section.has("aws_access_key_id") || section.has("aws_secret_access_key");
  const isLoop = path.includes(sourceProfile) && !(sourceProfile === profile && hasKeys);
  if (isLoop) {
    throw configInvalid(`The source_profile settings go round in a circle: ${[...path, sourceProfile].join(" → ")}.`);
  }
  if (!hasKeys && isRole(section)) return resolveRole(input, sourceProfile, path);
  const source = resolveProfile(input, sourceProfile, false);
  if (source === undefined) {
    throw configInvalid(`The source_profile '${sourceProfile}' of profile '${profile}' holds no credentials.`);
  }
  return source;
}

function namedSource(input: ResolveInput, profile: string, name: string): Source {
  const { environment } = input;
  const missing = (what: string): Error =>
    configInvalid(`The profile '${profile}' says credential_source = ${name}, but ${what}.`);
  switch (name) {
    case "Environment": {
      const source = envSource(environment);
      if (source === undefined) throw missing("AWS_ACCESS_KEY_ID is not set");
      return source;
    }
    case "EcsContainer": {
      const source = containerSource(environment);
      if (source === undefined) throw missing("no container credentials endpoint is set");
      return source;
    }
    case "Ec2InstanceMetadata":
      if (hasNoMetadata(environment)) {
        throw missing(`AWS_EC2_METADATA_DISABLED is ${variable(environment, "AWS_EC2_METADATA_DISABLED")}`);
      }
      return { kind: "iam-role" };
    default:
      throw configInvalid(
        `The profile '${profile}' says credential_source = ${name}; it may be Environment, EcsContainer or Ec2InstanceMetadata.`,
      );
  }
}
