import { createHash, webcrypto } from "node:crypto";
import type { Readable } from "node:stream";
import { crc32 } from "node:zlib";
import type { S3Client } from "@aws-sdk/client-s3";
import { addressOf, pathOf, serverOf } from "./address.ts";

const LARGE_BYTES = 1024 * 1024;

export interface RawContent {
  readonly key: string;
  readonly body: Buffer<ArrayBuffer>;
  readonly query?: Readonly<Record<string, string>>;
}

/** What the server answered to content that it took. */
export interface Stored {
  readonly ETag: string | undefined;
  readonly ChecksumCRC32: string;
}

/** Sends content by a signed PUT; undefined when the server did not take it, whatever the reason. */
export type RawPut = (content: RawContent, signal: AbortSignal) => Promise<Stored | undefined>;

/**
 * Opens PUTs without the layers that each call through the client goes through: with thousands of small files these take most of
 * the time. They know no retries, no redirects and no errors: who is answered with undefined asks through the client.
 */
export async function openRawPuts(client: S3Client, bucket: string): Promise<RawPut> {
  const { config } = client;
  const address = await addressOf(client, bucket);
  const signer = await config.signer();
  const place = { ...serverOf(address), method: "PUT" };
  const isPlain = address.url.protocol === "http:";
  return async ({ key, body, query = {} }, signal) => {
    const ChecksumCRC32 = checksumOf(body);
    const headers = {
      host: address.url.host,
      "content-length": String(body.length),
      "content-type": "application/octet-stream",
      "x-amz-checksum-crc32": ChecksumCRC32,
      // Without TLS nothing but the signature keeps content from being changed on its way.
      "x-amz-content-sha256": isPlain ? await sha256Of(body) : "UNSIGNED-PAYLOAD",
    };
    const unsigned = { ...place, path: pathOf(address, key), query: { ...query }, headers, body };
    // The client has learnt from earlier answers by how much this machine's clock is off.
    const signingDate = new Date(Date.now() + config.systemClockOffset);
    const request = await signer.sign(unsigned, { signingDate });
    const { response } = await config.requestHandler.handle(request, { abortSignal: signal });
    // A connection is free for the next request when the answer was read to its end.
    (response.body as Readable).resume();
    return response.statusCode === 200 ? { ETag: response.headers["etag"], ChecksumCRC32 } : undefined;
  };
}

/** The same, with a connection that breaks as a refusal. Rejects when the signal says so. */
export async function tryRawPut(raw: RawPut, content: RawContent, signal: AbortSignal): Promise<Stored | undefined> {
  try {
    return await raw(content, signal);
  } catch (error) {
    signal.throwIfAborted();
    // The client asks again, and says what the matter is if it stays.
    if (error instanceof Error) return undefined;
    throw error;
  }
}

/** Of much content by another thread. */
async function sha256Of(body: Buffer<ArrayBuffer>): Promise<string> {
  if (body.length < LARGE_BYTES) return createHash("sha256").update(body).digest("hex");
  return Buffer.from(await webcrypto.subtle.digest("SHA-256", body)).toString("hex");
}

function checksumOf(body: Buffer): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(body));
  return bytes.toString("base64");
}
