import { createHash, createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { Secret } from "../../shared/secret.ts";
import { makeTemporaryKeys } from "./temporary-keys.ts";

const NOW_MS = 1_800_000_000_999;
const HOUR_SECONDS = 3600;
const account = {
  accountId: "a".repeat(32),
  endpoint: `https://${"a".repeat(32)}.eu.r2.cloudflarestorage.com`,
  accessKeyId: "parent-id",
  secretAccessKey: new Secret("parent-secret"),
};

test("are a token that the parent's secret signs, for what was wished, until it ends", () => {
  const policy = JSON.stringify({ bucket: "b", scope: "object-read-only" });
  const keys = makeTemporaryKeys(account, { policy, sessionName: "sky-c", cluster: { clusterName: "c" } }, NOW_MS);
  const session = Buffer.from(keys.sessionToken ?? "", "base64").toString();
  expect(session.startsWith("jwt/")).toBe(true);
  const jwt = session.slice("jwt/".length);
  const [header = "", claims = "", signature] = jwt.split(".");
  expect(signature).toBe(createHmac("sha256", "parent-secret").update(`${header}.${claims}`).digest("base64url"));
  expect(JSON.parse(Buffer.from(header, "base64url").toString())).toEqual({ alg: "HS256", typ: "JWT" });
  expect(JSON.parse(Buffer.from(claims, "base64url").toString())).toEqual({
    bucket: "b",
    scope: "object-read-only",
    sub: account.accountId,
    iss: "parent-id",
    aud: `${account.accountId}.eu.r2.cloudflarestorage.com`,
    iat: 1_800_000_000 - 60,
    exp: 1_800_000_000 + 12 * HOUR_SECONDS,
  });
  expect(keys.accessKeyId).toBe("parent-id");
  expect(keys.secretAccessKey).toBe(createHash("sha256").update(jwt).digest("hex"));
  expect(keys.expiration?.getTime()).toBe((1_800_000_000 + 12 * HOUR_SECONDS) * 1000);
  expect(JSON.stringify(keys)).not.toContain("parent-secret");
});
