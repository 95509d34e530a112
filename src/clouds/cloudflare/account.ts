import { readFileSync } from "node:fs";
import { expandHome } from "../../platform/paths.ts";
import { CloudUserIdentityError } from "../../shared/errors.ts";
import { IniError, parseIni, type IniSection } from "../../shared/ini.ts";
import { Secret } from "../../shared/secret.ts";

/** Files of the home directory of the server's user, as messages name them. */
export const CREDENTIALS_FILE = "~/.cloudflare/r2.credentials";
const ACCOUNT_FILE = "~/.cloudflare/accountid";
const PROFILE = "r2";
const LINK = "https://docs.skypilot.co/en/latest/getting-started/installation.html#cloudflare-r2";
/** Writes the profile, and asks for both keys. */
export const SET_KEYS = `AWS_SHARED_CREDENTIALS_FILE=${CREDENTIALS_FILE} aws configure --profile ${PROFILE}`;
const SET_ACCOUNT = ["mkdir -p ~/.cloudflare", `echo <YOUR_ACCOUNT_ID_HERE> > ${ACCOUNT_FILE}`];

/** An account of Cloudflare, and keys of an R2 API token of it. */
export interface R2Account {
  readonly accountId: string;
  /** URL at which R2 speaks S3. */
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: Secret;
}

/** R2 cannot be used as it is set up; the message ends with the commands that repair it. */
export class R2SetupError extends CloudUserIdentityError {}

/** Reads the files anew at each call, so that new keys count at once. Throws R2SetupError. */
export function findAccount(home: string): R2Account {
  const profile = readProfile(home);
  const accountId = readText(home, ACCOUNT_FILE)?.split("\n")[0]?.trim().toLowerCase();
  if (profile === undefined || accountId === undefined) throw notSet(profile, accountId);
  if (!/^[0-9a-f]{32}$/u.test(accountId)) {
    throw setupError(`${ACCOUNT_FILE} holds no account ID, which is 32 hexadecimal digits.`, SET_ACCOUNT);
  }
  return {
    accountId,
    endpoint: endpointOf(profile) ?? `https://${accountId}.r2.cloudflarestorage.com`,
    accessKeyId: requireOption(profile, "aws_access_key_id"),
    secretAccessKey: new Secret(requireOption(profile, "aws_secret_access_key")),
  };
}

function readProfile(home: string): IniSection | undefined {
  try {
    return parseIni(readText(home, CREDENTIALS_FILE) ?? "").get(PROFILE);
  } catch (error) {
    if (!(error instanceof IniError)) throw error;
    throw new R2SetupError(`${CREDENTIALS_FILE} cannot be read: line ${error.line}: ${error.message}.`, {
      cause: error,
      hint: "Correct the file, then run: sky check cloudflare",
    });
  }
}

function readText(home: string, path: string): string | undefined {
  try {
    return readFileSync(expandHome(path, home), "utf8");
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, "code") : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new R2SetupError(`${path} cannot be read: ${String(code)}.`, {
      cause: error,
      hint: "It has to be a file that the user of the API server may read.",
    });
  }
}

function requireOption(profile: IniSection, name: string): string {
  const value = profile.get(name);
  if (typeof value === "string" && value !== "") return value;
  throw setupError(`[${PROFILE}] of ${CREDENTIALS_FILE} lacks ${name}.`, [SET_KEYS]);
}

/** Buckets of a jurisdiction are at a URL of their own. */
function endpointOf(profile: IniSection): string | undefined {
  const url = profile.get("endpoint_url");
  if (url === undefined) return undefined;
  const parsed = typeof url === "string" ? URL.parse(url) : null;
  if (parsed !== null && /^https?:$/u.test(parsed.protocol)) return parsed.href.replace(/\/+$/u, "");
  throw new R2SetupError(`endpoint_url of [${PROFILE}] in ${CREDENTIALS_FILE} is no URL.`, {
    hint: "For a jurisdiction it is https://<ACCOUNT_ID>.eu.r2.cloudflarestorage.com; without the line it is R2's usual one.",
  });
}

function notSet(profile: IniSection | undefined, accountId: string | undefined): R2SetupError {
  const missing = [
    ...(profile === undefined ? [`[${PROFILE}] profile is not set in ${CREDENTIALS_FILE}.`] : []),
    ...(accountId === undefined ? ["Account ID from R2 dashboard is not set."] : []),
  ];
  const commands = [...(profile === undefined ? [SET_KEYS] : []), ...(accountId === undefined ? SET_ACCOUNT : [])];
  return setupError(missing.join(" Additionally, "), commands);
}

function setupError(what: string, commands: readonly string[]): R2SetupError {
  const lines = commands.map((command) => `      $ ${command}`);
  return new R2SetupError(what, {
    hint: ["Run the following commands:", ...lines, `    For more info: ${LINK}`].join("\n"),
  });
}
