import { createHash, createHmac } from "node:crypto";
import type { LendWish, LentCredentials } from "../../core/ports/cloud.ts";
import type { R2Account } from "./account.ts";

/** Long enough for a server that is away over night; R2 takes up to seven days. */
const SECONDS = 12 * 3600;
/** R2's clock may be behind this machine's. */
const MARGIN_SECONDS = 60;

/**
 * Keys that reach what `wish.policy` names and nothing else, and that end. R2 lets whoever has the secret of an API token sign them:
 * nobody is asked. They may do no more than the token, and end with it at the latest.
 * https://developers.cloudflare.com/r2/api/s3/temporary-credentials/
 */
export function makeTemporaryKeys(account: R2Account, wish: LendWish, nowMs: number): LentCredentials {
  const { accountId, accessKeyId, endpoint, secretAccessKey } = account;
  const nowSeconds = Math.floor(nowMs / 1000);
  const exp = nowSeconds + SECONDS;
  const claims = {
    ...(JSON.parse(wish.policy) as object),
    sub: accountId,
    iss: accessKeyId,
    aud: new URL(endpoint).host,
    iat: nowSeconds - MARGIN_SECONDS,
    exp,
  };
  const unsigned = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
  const token = `${unsigned}.${createHmac("sha256", secretAccessKey.reveal()).update(unsigned).digest("base64url")}`;
  return {
    accessKeyId,
    secretAccessKey: createHash("sha256").update(token).digest("hex"),
    sessionToken: Buffer.from(`jwt/${token}`).toString("base64"),
    expiration: new Date(exp * 1000),
    issuer: accessKeyId,
    how: "temporary credentials of the R2 API token",
    isConfigured: false,
  };
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString("base64url");
}
