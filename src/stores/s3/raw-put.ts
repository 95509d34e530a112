import type { Readable } from "node:stream";
import type { S3Client } from "@aws-sdk/client-s3";
import { addressOf, pathOf, serverOf } from "./address.ts";
import { Seal } from "./seal.ts";

export interface RawContent {
  readonly key: string;
  readonly body: Buffer<ArrayBuffer>;
  /** Of the body. */
  readonly seal: Seal;
  readonly query?: Readonly<Record<string, string>>;
}

/** What the server answered to content that it took. */
export interface Stored {
  readonly ETag: string | undefined;
  readonly ChecksumCRC32?: string;
}

export interface RawPuts {
  /** Whether the server is told checksums to keep. */
  readonly hasChecksums: boolean;
  /** For the next content. */
  newSeal(): Seal;
  /** Which object of which server a key names. */
  urlOf(key: string): string;
  readonly put: RawPut;
}

/** Sends content by a signed PUT; undefined when the server did not take it, whatever the reason. */
type RawPut = (content: RawContent, signal: AbortSignal) => Promise<Stored | undefined>;

/**
 * Opens PUTs without the layers that each call through the client goes through: with thousands of small files these take most of
 * the time. They know no retries, no redirects and no errors: who is answered with undefined asks through the client.
 */
export async function openRawPuts(client: S3Client, bucket: string): Promise<RawPuts> {
  const { config } = client;
  const address = await addressOf(client, bucket);
  const signer = await config.signer();
  const place = { ...serverOf(address), method: "PUT" };
  const isPlain = address.url.protocol === "http:";
  const put: RawPut = async ({ key, body, seal, query = {} }, signal) => {
    const { ChecksumCRC32, headers: sealed } = seal.close();
    const headers = {
      host: address.url.host,
      "content-length": String(body.length),
      "content-type": "application/octet-stream",
      ...sealed,
    };
    const unsigned = { ...place, path: pathOf(address, key), query: { ...query }, headers, body };
    // The client has learnt from earlier answers by how much this machine's clock is off.
    const signingDate = new Date(Date.now() + config.systemClockOffset);
    const request = await signer.sign(unsigned, { signingDate });
    const { response } = await config.requestHandler.handle(request, { abortSignal: signal });
    // A connection is free for the next request when the answer was read to its end.
    (response.body as Readable).resume();
    return response.statusCode === 200
      ? { ETag: response.headers["etag"], ...(ChecksumCRC32 === undefined ? {} : { ChecksumCRC32 }) }
      : undefined;
  };
  const urlOf = (key: string): string => address.url.origin + pathOf(address, key);
  return { hasChecksums: !isPlain, newSeal: () => new Seal({ isPlain }), urlOf, put };
}

/** The same, with a connection that breaks as a refusal. Rejects when the signal says so. */
export async function tryRawPut(raw: RawPuts, content: RawContent, signal: AbortSignal): Promise<Stored | undefined> {
  try {
    return await raw.put(content, signal);
  } catch (error) {
    signal.throwIfAborted();
    // The client asks again, and says what the matter is if it stays.
    if (error instanceof Error) return undefined;
    throw error;
  }
}
