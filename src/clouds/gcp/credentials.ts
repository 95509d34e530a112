import { join } from "node:path";
import { Secret } from "../../shared/secret.ts";
import { GoogleAuthError, NoGoogleCredentialsError } from "./errors.ts";
import { readGcloudConfig, readIfThere, type GcloudConfig, type GoogleEnvironment } from "./gcloud-config.ts";

interface Found {
  /** The file that they come from. */
  readonly source: string;
  readonly project: string | undefined;
}

/** Credentials of Google, found but not yet used. */
export type GoogleCredentials =
  | (Found & {
      readonly kind: "service-account";
      readonly email: string;
      readonly privateKey: Secret;
      readonly keyId: string | undefined;
      readonly tokenUri: string;
    })
  | (Found & {
      readonly kind: "user";
      readonly email: string | undefined;
      readonly clientId: string;
      readonly clientSecret: Secret;
      readonly refreshToken: Secret;
      readonly tokenUri: string;
    });

const TOKEN_URI = "https://oauth2.googleapis.com/token";

/**
 * Finds the credentials: `GOOGLE_APPLICATION_CREDENTIALS`, the application default credentials, the active account of gcloud. Throws
 * GoogleAuthError with what to do when there are none or the file is none.
 */
export async function findCredentials(environment: GoogleEnvironment): Promise<GoogleCredentials> {
  const { env } = environment;
  const config = await readGcloudConfig(environment);
  const named = env["GOOGLE_APPLICATION_CREDENTIALS"];
  if (named !== undefined && named !== "") {
    const text = await readIfThere(named);
    if (text === undefined) throw missingKeyFile(named);
    return parseCredentials(text, { path: named, config, env });
  }
  const adc = join(config.dir, "application_default_credentials.json");
  for (const path of [adc, ...activeAccountFile(config)]) {
    const text = await readIfThere(path);
    if (text !== undefined) return parseCredentials(text, { path, config, env });
  }
  throw nothingFound(config);
}

/** `gcloud auth activate-service-account` and `gcloud auth login` leave the account's credentials there. */
function activeAccountFile({ dir, account }: GcloudConfig): readonly string[] {
  return account === undefined ? [] : [join(dir, "legacy_credentials", account, "adc.json")];
}

interface Origin {
  readonly path: string;
  readonly config: GcloudConfig;
  readonly env: GoogleEnvironment["env"];
}

function parseCredentials(text: string, { path, config, env }: Origin): GoogleCredentials {
  const fields = parseFields(text, path);
  const project = env["GOOGLE_CLOUD_PROJECT"] ?? config.project ?? fields("project_id") ?? fields("quota_project_id");
  const host = env["CLOUDSDK_AUTH_TOKEN_HOST"];
  const found = { source: path, project, tokenUri: host ?? fields("token_uri") ?? TOKEN_URI };
  const need = (name: string): string => {
    const value = fields(name);
    if (value === undefined) throw unusable(path, `${name} is missing`);
    return value;
  };
  const type = fields("type") ?? "none";
  switch (type) {
    case "service_account":
      return {
        ...found,
        kind: "service-account",
        email: need("client_email"),
        privateKey: new Secret(need("private_key")),
        keyId: fields("private_key_id"),
      };
    case "authorized_user":
      return {
        ...found,
        kind: "user",
        email: fields("account") ?? config.account,
        clientId: need("client_id"),
        clientSecret: new Secret(need("client_secret")),
        refreshToken: new Secret(need("refresh_token")),
      };
    default:
      throw unusable(path, `credentials of the type '${type}' cannot be used yet`);
  }
}

function parseFields(text: string, path: string): (name: string) => string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw unusable(path, "it is not JSON", error);
  }
  if (typeof value !== "object" || value === null) throw unusable(path, "it is not a key file");
  const fields = value as Readonly<Record<string, unknown>>;
  return (name) => {
    const field = fields[name];
    return typeof field === "string" && field !== "" ? field : undefined;
  };
}

function missingKeyFile(path: string): GoogleAuthError {
  return new GoogleAuthError(`GOOGLE_APPLICATION_CREDENTIALS=${path}, but the file does not exist.`, {
    hint: "Let it name the JSON key of a service account, or take it out: unset GOOGLE_APPLICATION_CREDENTIALS",
  });
}

function unusable(path: string, why: string, cause?: unknown): GoogleAuthError {
  return new GoogleAuthError(`The credentials in ${path} cannot be used: ${why}.`, {
    cause,
    hint: "Make a new key for the service account, or log in again: gcloud auth application-default login",
  });
}

function nothingFound(config: GcloudConfig): NoGoogleCredentialsError {
  const account =
    config.account === undefined ? "" : ` (gcloud's account is ${config.account}, but it has left no key)`;
  return new NoGoogleCredentialsError(`GCP credentials are not set${account}.`, {
    hint: "With a service account: export GOOGLE_APPLICATION_CREDENTIALS=/path/to/key.json, or gcloud auth activate-service-account --key-file=/path/to/key.json. As yourself: gcloud auth application-default login",
  });
}
