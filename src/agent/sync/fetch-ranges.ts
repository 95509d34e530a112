import type { IncomingMessage } from "node:http";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { FetchFile } from "../../shared/agent/protocol.ts";
import type { Clock } from "../../shared/clock.ts";
import { forEachParallel } from "../../shared/parallel.ts";
import { HttpRefusal, placeOf, type HttpConnections } from "./http-get.ts";

const MIB = 1024 * 1024;
/** Larger files come in ranges of this size. */
const RANGE_BYTES = 32 * MIB;
/** Ranges of one file under way at a time. */
const PARALLEL_RANGES = 12;
const ATTEMPTS = 5;
const FIRST_PAUSE_MS = 250;

/** Where content goes as it comes. */
export interface Sink {
  /** `write` copies what it is given, and returns nothing to wait for. */
  readonly isInstant: boolean;
  write(chunk: Buffer, position: number): void | Promise<unknown>;
}

export interface Download {
  readonly file: FetchFile;
  readonly connections: HttpConnections;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Brings a file's content into a sink; resolves with the number of bytes. Throws FETCH_REFUSED, FETCH_FAILED, errors of the sink. */
export async function fillFile(sink: Sink, download: Download): Promise<number> {
  const { size } = download.file;
  if (size === 0) return 0;
  if (size === undefined || size <= RANGE_BYTES) return getRange(sink, download, { from: 0, size });
  const starts = Array.from({ length: Math.ceil(size / RANGE_BYTES) }, (_, index) => index * RANGE_BYTES);
  await forEachParallel(starts, PARALLEL_RANGES, async (from) => {
    await getRange(sink, download, { from, size: Math.min(RANGE_BYTES, size - from) });
  });
  return size;
}

/** All of a file whose size is known, in memory. Throws as `fillFile`. */
export async function readSmall(download: Download): Promise<Buffer> {
  const content = Buffer.allocUnsafe(download.file.size ?? 0);
  const write = (chunk: Buffer, position: number): void => void chunk.copy(content, position);
  await fillFile({ isInstant: true, write }, download);
  return content;
}

interface Range {
  readonly from: number;
  /** Undefined: whatever the server sends, from its beginning. */
  readonly size: number | undefined;
}

/** Repeats what failed on the way; a range goes on where it broke off. */
async function getRange(sink: Sink, download: Download, range: Range): Promise<number> {
  const { clock, signal, file } = download;
  let written = 0;
  for (let attempt = 1; ; attempt++) {
    try {
      if (range.size === undefined) written = 0;
      await readBody(sink, download, {
        range,
        skip: written,
        onBytes: (count) => {
          written += count;
        },
      });
      if (range.size === undefined || written === range.size) return written;
      throw new Error(`${placeOf(new URL(file.url))} sent ${written} of ${range.size} bytes`);
    } catch (error) {
      if (signal.aborted || attempt >= ATTEMPTS || !isPassing(error)) throw asAgentError(error, file);
      await clock.sleep(FIRST_PAUSE_MS * 2 ** (attempt - 1), { signal });
    }
  }
}

interface BodyRead {
  readonly range: Range;
  /** Bytes of the range that are there already. */
  readonly skip: number;
  readonly onBytes: (count: number) => void;
}

async function readBody(sink: Sink, { file, connections, signal }: Download, read: BodyRead): Promise<void> {
  const { from, size } = read.range;
  const isWhole = size === undefined || (from === 0 && read.skip === 0 && size === file.size);
  const headers = {
    // The parts of a large file must not come from two versions of it.
    ...(file.etag === undefined ? {} : { "if-match": `"${file.etag}"` }),
    ...(isWhole ? {} : { range: `bytes=${from + read.skip}-${from + (size ?? 0) - 1}` }),
  };
  const response = await connections.get(file.url, { headers, signal });
  if (!isWhole && response.statusCode !== 206) {
    response.destroy();
    throw new HttpRefusal(response.statusCode ?? 0, `${placeOf(new URL(file.url))} (asked for a range)`);
  }
  let position = from + (isWhole ? 0 : read.skip);
  const take = (chunk: Buffer): void | Promise<unknown> => {
    const wait = sink.write(chunk, position);
    position += chunk.length;
    read.onBytes(chunk.length);
    return wait;
  };
  if (sink.isInstant) await drain(response, take);
  else for await (const chunk of response as AsyncIterable<Buffer>) await take(chunk);
}

/** Reads a body without a turn of the event loop for each of its pieces, which for small files is a quarter of the work. */
function drain(response: IncomingMessage, take: (chunk: Buffer) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    response.on("data", take);
    response.once("error", reject);
    response.once("end", resolve);
    // After `end` this says nothing new.
    response.once("close", () => reject(new Error("the connection broke off")));
  });
}

/** What the network or the server may do better the next time; errors of the disk and refusals stay. */
function isPassing(error: unknown): boolean {
  if (error instanceof AgentPeerError) return false;
  const { code, syscall } = error as NodeJS.ErrnoException;
  return !(syscall === "write" && code !== "EPIPE") && !["ENOSPC", "EDQUOT", "EACCES", "EROFS"].includes(code ?? "");
}

function asAgentError(error: unknown, file: FetchFile): unknown {
  if (error instanceof AgentPeerError || !isPassing(error)) return error;
  const { message } = error as Error;
  const place = placeOf(new URL(file.url));
  const text = message.startsWith(place) ? message : `${place}: ${message}`;
  return new AgentPeerError("FETCH_FAILED", `The node could not download ${text}.`, { cause: error });
}
