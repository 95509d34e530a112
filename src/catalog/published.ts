import { gunzipSync } from "node:zlib";
import { OperationFailedError, SkyError } from "../shared/errors.ts";
import { parseCatalogCsv } from "./csv.ts";

const HOSTED = "https://raw.githubusercontent.com/skypilot-org/skypilot-catalog/master/catalogs/v8";
/** For when the first one is asked too often. */
const MIRROR = "https://skypilot-catalog.s3.us-east-1.amazonaws.com/catalogs/v8";
const MAX_BYTES = 256 * 1024 * 1024;
const TOO_MANY_REQUESTS = 429;
const GZIP_MAGIC = 0x1f8b;

export interface DownloadOptions {
  readonly signal: AbortSignal;
  /** Told the bytes that have arrived, and all there will be where that is known. */
  readonly onProgress: (bytes: number, total: number | undefined) => void;
}

/** Where SkyPilot publishes the price list of a cloud. */
export function publishedUrls(cloud: string): readonly string[] {
  return [`${HOSTED}/${cloud}/vms.csv`, `${MIRROR}/${cloud}/vms.csv`];
}

/**
 * Downloads a price list, plain or gzip, from the first of the addresses that does not refuse because of too many requests, and
 * checks that it can be read. @throws OperationFailedError, InvalidCatalogError
 */
export async function downloadCatalog(urls: readonly string[], options: DownloadOptions): Promise<string> {
  for (const [at, url] of urls.entries()) {
    const request = { signal: options.signal, headers: { "user-agent": "SkyPilot/0.14.1" } };
    const response = await orFailed(url, options.signal, () => fetch(url, request));
    if (response.status === TOO_MANY_REQUESTS && at + 1 < urls.length) continue;
    if (!response.ok) throw failed(url, `the answer is ${response.status} ${response.statusText}`.trimEnd());
    const text = await orFailed(url, options.signal, async () => unpack(await readAll(response, url, options)));
    parseCatalogCsv(text, url);
    return text;
  }
  throw new Error("There is no address to download from.");
}

/** What breaks on the way (no connection, one that is cut, content that is damaged) is said with the address. */
async function orFailed<T>(url: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof SkyError) throw error;
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw failed(url, cause instanceof Error ? cause.message : String(cause), { cause: error });
  }
}

function unpack(bytes: Buffer): string {
  const isGzip = bytes.length > 2 && bytes.readUInt16BE(0) === GZIP_MAGIC;
  return (isGzip ? gunzipSync(bytes, { maxOutputLength: MAX_BYTES }) : bytes).toString("utf8");
}

async function readAll(response: Response, url: string, { onProgress }: DownloadOptions): Promise<Buffer> {
  const total = Number(response.headers.get("content-length")) || undefined;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw failed(url, `it is larger than ${MAX_BYTES / 1024 / 1024} MB`);
    onProgress(bytes, total);
  }
  return Buffer.concat(chunks);
}

function failed(url: string, why: string, options?: ErrorOptions): OperationFailedError {
  return new OperationFailedError(`Failed to fetch the catalog from ${url}: ${why}.`, {
    ...options,
    hint: "The catalog in use stays as it is; `sky catalog info` shows which that is.",
  });
}
