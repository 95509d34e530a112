import type { S3Client } from "@aws-sdk/client-s3";

/** The client's own URL of a key that needs no escapes, from which those of the other keys are made. */
const SAMPLE = "k";

/** Where the client has the objects of a bucket. */
export interface BucketAddress {
  readonly url: URL;
  /** What comes before the key in the path. */
  readonly base: string;
}

/** Asks the client where it would send a call about a bucket's objects; nothing is sent. */
export async function addressOf(client: S3Client, bucket: string): Promise<BucketAddress> {
  const [{ GetObjectCommand }, { getSignedUrl }] = await Promise.all([
    import("@aws-sdk/client-s3"),
    import("@aws-sdk/s3-request-presigner"),
  ]);
  const url = new URL(await getSignedUrl(client, new GetObjectCommand({ Bucket: bucket, Key: SAMPLE })));
  return { url, base: url.pathname.slice(0, -SAMPLE.length) };
}

/** The path of an object, escaped as its signature escapes it. */
export function pathOf({ base }: BucketAddress, key: string): string {
  return base + key.split("/").map(escapePart).join("/");
}

/** What a request needs to know of the server. */
export function serverOf({ url }: BucketAddress): {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
} {
  const port = url.port === "" ? {} : { port: Number(url.port) };
  return { protocol: url.protocol, hostname: url.hostname, ...port };
}

/** Escapes as the signature does: all but letters, digits and `-_.~`. */
export function escapePart(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/gu,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
