import type { S3Client } from "@aws-sdk/client-s3";
import { addressOf, escapePart, pathOf, serverOf } from "./address.ts";

/** The plain URL of each key, for what is public. */
export async function publicUrls(
  client: S3Client,
  bucket: string,
  keys: readonly string[],
): Promise<readonly string[]> {
  const address = await addressOf(client, bucket);
  return keys.map((key) => address.url.origin + pathOf(address, key));
}

/** Signs a GET for each key. */
export async function signReads(
  client: S3Client,
  bucket: string,
  wish: { readonly keys: readonly string[]; readonly expiresSeconds: number },
): Promise<readonly string[]> {
  const { S3RequestPresigner } = await import("@aws-sdk/s3-request-presigner");
  const address = await addressOf(client, bucket);
  const place = { ...serverOf(address), method: "GET", headers: { host: address.url.host }, query: {} };
  // Through the client each URL costs 500 µs, because every one goes through all that a call goes through; signing alone is 60 µs.
  const presigner = new S3RequestPresigner({ ...client.config });
  // What the client has learnt of this machine's clock.
  const signingDate = new Date(Date.now() + client.config.systemClockOffset);
  const urls: string[] = [];
  for (const key of wish.keys) {
    const path = pathOf(address, key);
    const signed = await presigner.presign({ ...place, path }, { expiresIn: wish.expiresSeconds, signingDate });
    urls.push(`${address.url.origin}${path}?${queryText(signed.query ?? {})}`);
  }
  return urls;
}

function queryText(query: Readonly<Record<string, string | readonly string[] | null>>): string {
  return Object.entries(query)
    .map(([name, value]) => `${escapePart(name)}=${escapePart(typeof value === "string" ? value : "")}`)
    .join("&");
}
