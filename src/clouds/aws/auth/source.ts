import type { Secret } from "../../../shared/secret.ts";

export interface StaticKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: Secret;
  readonly sessionToken?: Secret;
  readonly accountId?: string;
}

export interface EnvSource {
  readonly kind: "env";
  readonly keys: StaticKeys;
  readonly expiresAtMs?: number;
}

export interface FileSource {
  readonly kind: "shared-credentials-file" | "config-file";
  readonly profile: string;
  readonly path: string;
  readonly keys: StaticKeys;
}

export interface SsoSource {
  readonly kind: "sso";
  readonly profile: string;
  /** Absent with the legacy form, where the token belongs to the start URL. */
  readonly sessionName?: string;
  readonly startUrl: string;
  readonly ssoRegion: string;
  readonly accountId: string;
  readonly roleName: string;
}

export interface LoginSource {
  readonly kind: "login";
  readonly profile: string;
  readonly session: string;
  readonly region?: string;
}

export interface AssumeRoleSource {
  readonly kind: "assume-role";
  readonly profile: string;
  readonly roleArn: string;
  /** Who asks for the role. */
  readonly base: Source;
  readonly sessionName?: string;
  readonly externalId?: string;
  readonly mfaSerial?: string;
  readonly durationSeconds?: number;
}

export interface WebIdentitySource {
  readonly kind: "assume-role-with-web-identity";
  /** Absent when the variables name the role. */
  readonly profile?: string;
  readonly roleArn: string;
  readonly tokenFile: string;
  readonly sessionName?: string;
}

export interface ProcessSource {
  readonly kind: "custom-process";
  readonly profile: string;
  readonly command: string;
}

export interface ContainerSource {
  readonly kind: "container-role";
  readonly url: string;
  readonly tokenFile?: string;
  readonly token?: Secret;
}

export interface InstanceSource {
  readonly kind: "iam-role";
}

/** Where credentials come from, found without any call; `kind` is the Type that `aws configure list` shows. */
export type Source =
  | EnvSource
  | FileSource
  | SsoSource
  | LoginSource
  | AssumeRoleSource
  | WebIdentitySource
  | ProcessSource
  | ContainerSource
  | InstanceSource;

export type SourceKind = Source["kind"];

/** Credentials that can sign a call. */
export interface Credentials extends StaticKeys {
  /** Absent = they do not expire. */
  readonly expiresAtMs?: number;
}

/** Says in a few words where the source takes its credentials from. */
export function describeSource(source: Source): string {
  switch (source.kind) {
    case "env":
      return "the environment (AWS_ACCESS_KEY_ID)";
    case "shared-credentials-file":
    case "config-file":
      return `profile '${source.profile}' in ${source.path}`;
    case "sso":
      return source.sessionName === undefined
        ? `${source.startUrl} (profile '${source.profile}')`
        : `sso-session ${source.sessionName} at ${source.startUrl} (profile '${source.profile}')`;
    case "login":
      return `aws login (profile '${source.profile}')`;
    case "assume-role":
      return `role ${source.roleArn} (profile '${source.profile}'), assumed with ${describeSource(source.base)}`;
    case "assume-role-with-web-identity":
      return `role ${source.roleArn} with the token in ${source.tokenFile}`;
    case "custom-process":
      return `credential_process of profile '${source.profile}'`;
    case "container-role":
      return `the container endpoint ${source.url}`;
    case "iam-role":
      return "instance metadata";
  }
}

/** The profile that leads to the source, if one does. */
export function profileOf(source: Source): string | undefined {
  return "profile" in source ? source.profile : undefined;
}
