import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../../platform/atomic-file.ts";
import { Secret } from "../../../shared/secret.ts";
import { denied, mfaNeeded, mfaWrong } from "../errors.ts";
import { roleCacheDirectory, type AwsEnvironment } from "./environment.ts";
import { objectField, parseObject, textField, timeField } from "./json.ts";
import type { LoadContext } from "./load-context.ts";
import { REFRESH_AHEAD_MS } from "./lifetime.ts";
import type { AssumeRoleSource, Credentials } from "./source.ts";
import { assumeRole } from "./sts.ts";
import { errorCode, explainStsError } from "./sts-errors.ts";

/** Shown in CloudTrail; the same for every call, so that the identity in logs does not change with each of them. */
export const SESSION_NAME = "skypilot";

/**
 * Assumes the role of a profile. A session with MFA is kept where the AWS CLI keeps it (`~/.aws/cli/cache`), and one that the AWS
 * CLI has opened is used, so that a code is asked once. Throws AwsAuthError.
 */
export async function loadRole(source: AssumeRoleSource, context: LoadContext): Promise<Credentials> {
  const cached = readRoleCache(source, context.environment);
  if (cached?.expiresAtMs !== undefined && cached.expiresAtMs - context.time.now() > REFRESH_AHEAD_MS) return cached;
  const base = await context.credentialsOf(source.base);
  const { mfaSerial: serial, roleArn } = source;
  if (serial !== undefined && context.askMfa === undefined) throw mfaNeeded(source.profile, serial, roleArn);
  const code = serial === undefined ? undefined : await context.askMfa?.({ serial, roleArn });
  try {
    const credentials = await assumeRole(
      base,
      {
        roleArn,
        sessionName: source.sessionName ?? SESSION_NAME,
        ...(source.externalId === undefined ? {} : { externalId: source.externalId }),
        ...(source.durationSeconds === undefined ? {} : { durationSeconds: source.durationSeconds }),
        ...(serial === undefined || code === undefined ? {} : { mfa: { serial, code } }),
      },
      context,
    );
    if (serial !== undefined) writeRoleCache(source, context.environment, credentials);
    return credentials;
  } catch (error) {
    throw explainRoleError(error, { source, base, context });
  }
}

function explainRoleError(
  error: unknown,
  call: { readonly source: AssumeRoleSource; readonly base: Credentials; readonly context: LoadContext },
): unknown {
  const { source, base, context } = call;
  const detail = error instanceof Error ? error.message : String(error);
  const code = errorCode(error);
  if (source.mfaSerial !== undefined && /MultiFactorAuthentication|one time pass ?code/iu.test(detail)) {
    return mfaWrong(source.profile, source.mfaSerial, detail);
  }
  if (code === "ValidationError" && source.durationSeconds !== undefined && /duration/iu.test(detail)) {
    return denied(
      "sts:AssumeRole",
      `profile '${source.profile}' for ${source.durationSeconds} s`,
      detail,
      source.roleArn,
    );
  }
  return explainStsError(error, {
    action: "sts:AssumeRole",
    resource: source.roleArn,
    source: source.base,
    credentials: base,
    context,
  });
}

/** The file in which the AWS CLI keeps the session of this role: named by the SHA-1 of the call's arguments as Python dumps them. */
export function roleCachePath(source: AssumeRoleSource, environment: AwsEnvironment): string {
  const options: readonly (readonly [string, string | number | undefined])[] = [
    ["DurationSeconds", source.durationSeconds],
    ["ExternalId", source.externalId],
    ["RoleArn", source.roleArn],
    ["RoleSessionName", source.sessionName],
    ["SerialNumber", source.mfaSerial],
  ];
  const parts = options.flatMap(([name, value]) => (value === undefined ? [] : [`"${name}": ${toAsciiJson(value)}`]));
  const hash = createHash("sha1")
    .update(`{${parts.join(", ")}}`)
    .digest("hex");
  return join(roleCacheDirectory(environment), `${hash}.json`);
}

function toAsciiJson(value: string | number): string {
  return JSON.stringify(value).replaceAll(
    /[\u007F-\uFFFF]/gu,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function readRoleCache(source: AssumeRoleSource, environment: AwsEnvironment): Credentials | undefined {
  let text: string;
  try {
    text = readFileSync(roleCachePath(source, environment), "utf8");
  } catch {
    // No session is kept: the usual case.
    return undefined;
  }
  const kept = objectField(parseObject(text), "Credentials");
  const accessKeyId = textField(kept, "AccessKeyId");
  const secret = textField(kept, "SecretAccessKey");
  const token = textField(kept, "SessionToken");
  const expiresAtMs = timeField(kept, "Expiration");
  if (accessKeyId === undefined || secret === undefined || token === undefined || expiresAtMs === undefined) {
    return undefined;
  }
  return { accessKeyId, secretAccessKey: new Secret(secret), sessionToken: new Secret(token), expiresAtMs };
}

function writeRoleCache(source: AssumeRoleSource, environment: AwsEnvironment, credentials: Credentials): void {
  const content = {
    Credentials: {
      AccessKeyId: credentials.accessKeyId,
      SecretAccessKey: credentials.secretAccessKey.reveal(),
      SessionToken: credentials.sessionToken?.reveal(),
      Expiration: new Date(credentials.expiresAtMs ?? 0).toISOString().replace(/\.\d+Z$/u, "Z"),
    },
    AssumedRoleUser: { Arn: source.roleArn },
  };
  writeFileAtomic(roleCachePath(source, environment), JSON.stringify(content), { mode: 0o600, directoryMode: 0o700 });
}
