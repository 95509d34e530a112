import { createHash } from "node:crypto";
import { renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { FetchFile, FetchParams, FetchResult, SyncEntry } from "../../shared/agent/protocol.ts";
import type { Clock } from "../../shared/clock.ts";
import { forEachParallel } from "../../shared/parallel.ts";
import { assertLinkable, makeLink, resolveDestination, type DestinationOptions } from "./dest.ts";
import { requireSpace } from "./free-space.ts";
import { assertEntries, FileTree, temporaryName } from "./file-tree.ts";
import { HttpRefusal, openConnections, placeOf, type HttpConnections } from "./http-get.ts";
import { explainWriteError } from "./write-errors.ts";

const MIB = 1024 * 1024;
/** Files under way at a time. */
const PARALLEL_FILES = 16;
/** Files up to this size are held whole in memory, some of them at a time. */
const SMALL_BYTES = MIB / 4;
/** Larger files come in ranges of this size. */
const RANGE_BYTES = 32 * MIB;
/** Ranges of one file under way at a time. */
const PARALLEL_RANGES = 6;
const ATTEMPTS = 5;
const FIRST_PAUSE_MS = 250;
const MODE = 0o644;
/** A time may lose a microsecond on its way to the disk and back. */
const SAME_VERSION_MS = 0.002;

export interface FetchOptions extends DestinationOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Downloads files to this node, by URLs that carry the right to read them. What is there already, by size, time and content, is left as it is;
 * each file appears complete or not at all. Throws FETCH_REFUSED (e.g. an expired URL), PATH_EXISTS, NO_SPACE, NOT_ALLOWED.
 */
export async function fetchFiles(
  { dest, files, restBytes = 0 }: Omit<FetchParams, "key">,
  options: FetchOptions,
): Promise<FetchResult> {
  const entries = files.map(toEntry);
  assertEntries(entries);
  const destination = resolveDestination(dest, options.home);
  if (destination.link !== undefined) assertLinkable(destination.link);
  const tree = new FileTree(destination.path);
  if (entries.length === 0) tree.makeDirectory({ ...emptyEntry, kind: "dir" });
  const missing = files
    .map((file, index) => ({ file, entry: entries[index] ?? emptyEntry }))
    .filter(({ file, entry }) => file.size === undefined || !tree.hasFile(entry, { sameTimeMs: SAME_VERSION_MS }));
  requireSpace(destination.path, {
    sizes: missing.map(({ file }) => file.size ?? 0),
    restBytes: missing.length === files.length ? restBytes : 0,
    shown: dest,
  });
  const connections = await openConnections();
  const result = { files: files.length, bytes: 0, unchanged: files.length - missing.length };
  try {
    await forEachParallel(missing, PARALLEL_FILES, async ({ file, entry }) => {
      options.signal.throwIfAborted();
      // Not in one statement: `+=` would add to what the sum was before the wait.
      const bytes = await fetchOne({ file, entry, tree, connections }, options);
      result.bytes += bytes;
    });
    if (destination.link !== undefined) makeLink(destination.link, destination.path, options);
  } catch (error) {
    throw explainWriteError(error, dest);
  } finally {
    connections.close();
  }
  return result;
}

const emptyEntry: SyncEntry = { path: "", kind: "file", mode: MODE, size: 0, mtimeMs: 0 };

function toEntry(file: FetchFile): SyncEntry {
  return { ...emptyEntry, path: file.path, size: file.size ?? 0, mtimeMs: timeOf(file) ?? 0 };
}

/**
 * Stores keep whole seconds, in which content may be replaced by other content of the same size. The fraction of the second in the
 * file's time therefore says which content it is: it is written with the file, and needs no list that could get lost or out of step.
 */
function timeOf({ mtimeMs, etag }: FetchFile): number | undefined {
  if (mtimeMs === undefined || etag === undefined) return mtimeMs;
  const microseconds = createHash("sha256").update(etag).digest().readUInt32BE() % 1_000_000;
  return Math.floor(mtimeMs / 1000) * 1000 + microseconds / 1000;
}

interface Download {
  readonly file: FetchFile;
  readonly entry: SyncEntry;
  readonly tree: FileTree;
  readonly connections: HttpConnections;
}

/** Resolves with the number of bytes. */
async function fetchOne(download: Download, options: FetchOptions): Promise<number> {
  const { file, entry, tree } = download;
  tree.ensureParent(entry);
  tree.assertReplaceable(entry);
  const path = tree.pathOf(entry);
  const temporary = temporaryName(path);
  const isSmall = file.size !== undefined && file.size <= SMALL_BYTES;
  const bytes = await (isSmall ? writeSmall : writeLarge)(temporary, download, options).catch((error: unknown) => {
    rmSync(temporary, { force: true });
    throw error;
  });
  const mtimeMs = timeOf(file);
  if (mtimeMs !== undefined) utimesSync(temporary, mtimeMs / 1000, mtimeMs / 1000);
  renameSync(temporary, path);
  return bytes;
}

/** Where content goes as it comes. */
interface Sink {
  write(chunk: Buffer, position: number): void | Promise<unknown>;
}

/** Content that is held whole until it is there takes one write of the file instead of a round through other threads for each step. */
async function writeSmall(path: string, download: Download, options: FetchOptions): Promise<number> {
  const content = Buffer.alloc(download.file.size ?? 0);
  const sink: Sink = { write: (chunk, position) => void chunk.copy(content, position) };
  const bytes = await fillFile(sink, download, options);
  writeFileSync(path, content, { flag: "wx", mode: MODE });
  return bytes;
}

async function writeLarge(path: string, download: Download, options: FetchOptions): Promise<number> {
  const handle = await open(path, "wx", MODE);
  try {
    const write = (chunk: Buffer, position: number): Promise<unknown> => handle.write(chunk, 0, chunk.length, position);
    return await fillFile({ write }, download, options);
  } finally {
    await handle.close();
  }
}

async function fillFile(sink: Sink, download: Download, options: FetchOptions): Promise<number> {
  const { file } = download;
  const { size } = file;
  if (size === 0) return 0;
  if (size === undefined || size <= RANGE_BYTES) return getRange(sink, download, { from: 0, size, options });
  const starts = Array.from({ length: Math.ceil(size / RANGE_BYTES) }, (_, index) => index * RANGE_BYTES);
  await forEachParallel(starts, PARALLEL_RANGES, async (from) => {
    await getRange(sink, download, { from, size: Math.min(RANGE_BYTES, size - from), options });
  });
  return size;
}

interface Range {
  readonly from: number;
  /** Undefined: whatever the server sends, from its beginning. */
  readonly size: number | undefined;
  readonly options: FetchOptions;
}

/** Repeats what failed on the way; a range goes on where it broke off. */
async function getRange(sink: Sink, download: Download, range: Range): Promise<number> {
  const { clock, signal } = range.options;
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
      throw new Error(`${placeOf(new URL(download.file.url))} sent ${written} of ${range.size} bytes`);
    } catch (error) {
      if (signal.aborted || attempt >= ATTEMPTS || !isPassing(error)) throw asAgentError(error, download.file);
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

async function readBody(sink: Sink, { file, connections }: Download, read: BodyRead): Promise<void> {
  const { from, size, options } = read.range;
  const isWhole = size === undefined || (from === 0 && read.skip === 0 && size === file.size);
  const headers = {
    // The parts of a large file must not come from two versions of it.
    ...(file.etag === undefined ? {} : { "if-match": `"${file.etag}"` }),
    ...(isWhole ? {} : { range: `bytes=${from + read.skip}-${from + (size ?? 0) - 1}` }),
  };
  const response = await connections.get(file.url, { headers, signal: options.signal });
  if (!isWhole && response.statusCode !== 206) {
    response.destroy();
    throw new HttpRefusal(response.statusCode ?? 0, `${placeOf(new URL(file.url))} (asked for a range)`);
  }
  let position = from + (isWhole ? 0 : read.skip);
  for await (const chunk of response as AsyncIterable<Buffer>) {
    await sink.write(chunk, position);
    position += chunk.length;
    read.onBytes(chunk.length);
  }
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
