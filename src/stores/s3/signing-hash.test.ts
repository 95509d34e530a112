import { createHash, createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { SigningHash } from "./signing-hash.ts";

const KEY = Uint8Array.from({ length: 32 }, (_, index) => index);

async function hashOf(data: string, secret?: ConstructorParameters<typeof SigningHash>[0]): Promise<string> {
  const hash = new SigningHash(secret);
  hash.update(data);
  return Buffer.from(await hash.digest()).toString("hex");
}

test("it is SHA-256, and HMAC with a secret of any kind, each time", async () => {
  expect(await hashOf("data")).toBe(createHash("sha256").update("data").digest("hex"));
  expect(await hashOf("data", "words")).toBe(createHmac("sha256", "words").update("data").digest("hex"));
  const expected = createHmac("sha256", KEY).update("data").digest("hex");
  const padded = Uint8Array.from([9, ...KEY, 9]);
  const secrets = [KEY, KEY, KEY.buffer, new DataView(padded.buffer, 1, 32), padded.subarray(1, 33)];
  expect(await Promise.all(secrets.map((secret) => hashOf("data", secret)))).toEqual(secrets.map(() => expected));
});

test("it begins anew with the same secret", async () => {
  const hash = new SigningHash(KEY);
  hash.update("other");
  hash.reset();
  hash.update("data");
  expect(await hash.digest()).toEqual(createHmac("sha256", KEY).update("data").digest());
});
