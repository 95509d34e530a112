import type { S3Client } from "@aws-sdk/client-s3";

/** The client's own URL of a key that needs no escapes, from which those of the other keys are made. */
const SAMPLE = "k";

/** The plain URL of each key, for what is public. */
export async function publicUrls(
  client: S3Client,
  bucket: string,
  keys: readonly string[],
): Promise<readonly string[]> {
  const { sample, base } = await sampleOf(client, bucket, 1);
  return keys.map((key) => sample.origin + base + pathOf(key));
}

/** Signs a GET for each key. */
export async function signReads(
  client: S3Client,
  bucket: string,
  wish: { readonly keys: readonly string[]; readonly expiresSeconds: number },
): Promise<readonly string[]> {
  const { S3RequestPresigner } = await import("@aws-sdk/s3-request-presigner");
  const expiresIn = wish.expiresSeconds;
  const { sample, base } = await sampleOf(client, bucket, expiresIn);
  // Through the client each URL costs 500 µs, because every one goes through all that a call goes through; signing alone is 60 µs.
  const presigner = new S3RequestPresigner({ ...client.config });
  const urls: string[] = [];
  for (const key of wish.keys) {
    const path = base + pathOf(key);
    const signed = await presigner.presign({ ...addressOf(sample), method: "GET", path, query: {} }, { expiresIn });
    urls.push(`${sample.origin}${path}?${queryText(signed.query ?? {})}`);
  }
  return urls;
}

async function sampleOf(
  client: S3Client,
  bucket: string,
  expiresIn: number,
): Promise<{ readonly sample: URL; readonly base: string }> {
  const [{ GetObjectCommand }, { getSignedUrl }] = await Promise.all([
    import("@aws-sdk/client-s3"),
    import("@aws-sdk/s3-request-presigner"),
  ]);
  const command = new GetObjectCommand({ Bucket: bucket, Key: SAMPLE });
  const sample = new URL(await getSignedUrl(client, command, { expiresIn }));
  return { sample, base: sample.pathname.slice(0, -SAMPLE.length) };
}

function pathOf(key: string): string {
  return key.split("/").map(escapePart).join("/");
}

function addressOf(url: URL): {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly headers: Record<string, string>;
} {
  const port = url.port === "" ? {} : { port: Number(url.port) };
  return { protocol: url.protocol, hostname: url.hostname, ...port, headers: { host: url.host } };
}

/** Escapes as the signature does: all but letters, digits and `-_.~`. */
function escapePart(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/gu,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function queryText(query: Readonly<Record<string, string | readonly string[] | null>>): string {
  return Object.entries(query)
    .map(([name, value]) => `${escapePart(name)}=${escapePart(typeof value === "string" ? value : "")}`)
    .join("&");
}
