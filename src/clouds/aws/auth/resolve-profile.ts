import { Secret } from "../../../shared/secret.ts";
import { configInvalid, partialCredentials } from "../errors.ts";
import { expandPath, variable, type AwsEnvironment } from "./environment.ts";
import type { IniSection } from "../../../shared/ini.ts";
import { resolveSso } from "./resolve-sso.ts";
import { textOption, type SharedFiles } from "./shared-files.ts";
import type { ContainerSource, EnvSource, FileSource, Source, StaticKeys, WebIdentitySource } from "./source.ts";

export interface ResolveInput {
  readonly files: SharedFiles;
  readonly environment: AwsEnvironment;
  /** From the workspace's config; then the access key variables do not count. */
  readonly configuredProfile?: string;
}

/** Whether instance metadata is switched off, so that nothing is left to try. */
export function hasNoMetadata(environment: AwsEnvironment): boolean {
  return /^true$/iu.test(variable(environment, "AWS_EC2_METADATA_DISABLED") ?? "");
}

export function isRole(section: IniSection): boolean {
  return section.has("role_arn") && !section.has("web_identity_token_file");
}

/** What one profile says, roles aside; undefined when it holds no credentials. */
export function resolveProfile(input: ResolveInput, profile: string, useEnv: boolean): Source | undefined {
  const section = input.files.profiles.get(profile);
  const web = webIdentitySource(input.environment, profile, { section, useEnv });
  if (web !== undefined) return web;
  const sso = resolveSso(input.files, profile);
  if (sso !== undefined) return sso;
  const shared = fileSource("shared-credentials-file", profile, input.files);
  if (shared !== undefined) return shared;
  const session = textOption(section, "login_session");
  if (session !== undefined) {
    const region = textOption(section, "region");
    return { kind: "login", profile, session, ...(region === undefined ? {} : { region }) };
  }
  const command = textOption(section, "credential_process");
  if (command !== undefined) return { kind: "custom-process", profile, command };
  return fileSource("config-file", profile, input.files);
}

/** Keys in the variables, also those that aws-vault and the like set. */
export function envSource(environment: AwsEnvironment): EnvSource | undefined {
  const accessKeyId = variable(environment, "AWS_ACCESS_KEY_ID");
  if (accessKeyId === undefined) return undefined;
  const secret = variable(environment, "AWS_SECRET_ACCESS_KEY");
  if (secret === undefined) throw partialCredentials("the environment", "AWS_SECRET_ACCESS_KEY");
  const token = variable(environment, "AWS_SECURITY_TOKEN") ?? variable(environment, "AWS_SESSION_TOKEN");
  const accountId = variable(environment, "AWS_ACCOUNT_ID");
  const expiration = variable(environment, "AWS_CREDENTIAL_EXPIRATION");
  const expiresAtMs = expiration === undefined ? Number.NaN : Date.parse(expiration);
  return {
    kind: "env",
    keys: {
      accessKeyId,
      secretAccessKey: new Secret(secret),
      ...(token === undefined ? {} : { sessionToken: new Secret(token) }),
      ...(accountId === undefined ? {} : { accountId }),
    },
    ...(Number.isNaN(expiresAtMs) ? {} : { expiresAtMs }),
  };
}

export function containerSource(environment: AwsEnvironment): ContainerSource | undefined {
  const relative = variable(environment, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  const full = variable(environment, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
  const url = relative === undefined ? full : `http://169.254.170.2${relative}`;
  if (url === undefined) return undefined;
  const tokenFile = variable(environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
  const token = variable(environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
  return {
    kind: "container-role",
    url,
    ...(tokenFile === undefined ? {} : { tokenFile }),
    ...(token === undefined ? {} : { token: new Secret(token) }),
  };
}

function webIdentitySource(
  environment: AwsEnvironment,
  profile: string,
  from: { readonly section: IniSection | undefined; readonly useEnv: boolean },
): WebIdentitySource | undefined {
  const read = (name: string, option: string): string | undefined =>
    (from.useEnv ? variable(environment, name) : undefined) ?? textOption(from.section, option);
  const tokenFile = read("AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file");
  if (tokenFile === undefined || tokenFile === "") return undefined;
  const roleArn = read("AWS_ROLE_ARN", "role_arn");
  if (roleArn === undefined || roleArn === "") {
    throw configInvalid(`A web identity token file is set (${tokenFile}), but neither AWS_ROLE_ARN nor role_arn.`);
  }
  const sessionName = read("AWS_ROLE_SESSION_NAME", "role_session_name");
  const fromEnv = from.useEnv && variable(environment, "AWS_WEB_IDENTITY_TOKEN_FILE") !== undefined;
  return {
    kind: "assume-role-with-web-identity",
    roleArn,
    tokenFile: expandPath(tokenFile, environment),
    ...(fromEnv ? {} : { profile }),
    ...(sessionName === undefined ? {} : { sessionName }),
  };
}

function fileSource(kind: FileSource["kind"], profile: string, files: SharedFiles): FileSource | undefined {
  const isShared = kind === "shared-credentials-file";
  const section = (isShared ? files.credentialProfiles : files.configProfiles).get(profile);
  const accessKeyId = textOption(section, "aws_access_key_id");
  if (accessKeyId === undefined) return undefined;
  const path = isShared ? files.credentialsPath : files.configPath;
  return { kind, profile, path, keys: readKeys(section, accessKeyId, `profile '${profile}' in ${path}`) };
}

function readKeys(section: IniSection | undefined, accessKeyId: string, where: string): StaticKeys {
  const secret = textOption(section, "aws_secret_access_key");
  if (secret === undefined) throw partialCredentials(where, "aws_secret_access_key");
  const token = textOption(section, "aws_security_token") ?? textOption(section, "aws_session_token");
  const accountId = textOption(section, "aws_account_id");
  return {
    accessKeyId,
    secretAccessKey: new Secret(secret),
    ...(token === undefined || token === "" ? {} : { sessionToken: new Secret(token) }),
    ...(accountId === undefined ? {} : { accountId }),
  };
}
