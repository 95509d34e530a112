import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../../platform/atomic-file.ts";
import { Secret } from "../../../shared/secret.ts";
import { ssoCacheDirectory, type AwsEnvironment } from "./environment.ts";
import { parseObject, textField, timeField } from "./json.ts";

/** What a login leaves in `~/.aws/sso/cache`, the file that the AWS CLI v2 and the SDKs share. */
export interface SsoToken {
  readonly startUrl: string;
  readonly region: string;
  readonly accessToken: Secret;
  readonly expiresAtMs: number;
  /** With these the token can be renewed without the user. */
  readonly refresh?: {
    readonly refreshToken: Secret;
    readonly clientId: string;
    readonly clientSecret: Secret;
    readonly registrationExpiresAtMs: number;
  };
}

/** Named by the session or, in the legacy form, by the start URL. */
export function ssoTokenPath(
  key: { readonly sessionName?: string; readonly startUrl: string },
  environment: AwsEnvironment,
): string {
  const hash = createHash("sha1")
    .update(key.sessionName ?? key.startUrl)
    .digest("hex");
  return join(ssoCacheDirectory(environment), `${hash}.json`);
}

/** Undefined when nobody has logged in, or the file is not one of these. */
export function readSsoToken(path: string): SsoToken | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
  const file = parseObject(text);
  const accessToken = textField(file, "accessToken");
  const expiresAtMs = timeField(file, "expiresAt");
  if (accessToken === undefined || expiresAtMs === undefined) return undefined;
  const refreshToken = textField(file, "refreshToken");
  const clientId = textField(file, "clientId");
  const clientSecret = textField(file, "clientSecret");
  const registrationExpiresAtMs = timeField(file, "registrationExpiresAt");
  const canRefresh =
    refreshToken !== undefined &&
    clientId !== undefined &&
    clientSecret !== undefined &&
    registrationExpiresAtMs !== undefined;
  return {
    startUrl: textField(file, "startUrl") ?? "",
    region: textField(file, "region") ?? "",
    accessToken: new Secret(accessToken),
    expiresAtMs,
    ...(canRefresh
      ? {
          refresh: {
            refreshToken: new Secret(refreshToken),
            clientId,
            clientSecret: new Secret(clientSecret),
            registrationExpiresAtMs,
          },
        }
      : {}),
  };
}

export function writeSsoToken(path: string, token: SsoToken): void {
  const content = {
    startUrl: token.startUrl,
    region: token.region,
    accessToken: token.accessToken.reveal(),
    expiresAt: toAwsTime(token.expiresAtMs),
    ...(token.refresh === undefined
      ? {}
      : {
          clientId: token.refresh.clientId,
          clientSecret: token.refresh.clientSecret.reveal(),
          registrationExpiresAt: toAwsTime(token.refresh.registrationExpiresAtMs),
          refreshToken: token.refresh.refreshToken.reveal(),
        }),
  };
  writeFileAtomic(path, JSON.stringify(content, undefined, 2), { mode: 0o600, directoryMode: 0o700 });
}

/** The AWS CLI reads no fractions of a second. */
function toAwsTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/u, "Z");
}
