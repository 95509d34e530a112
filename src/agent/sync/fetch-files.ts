import { renameSync, rmSync, utimesSync, type Stats } from "node:fs";
import { open } from "node:fs/promises";
import type { FetchFile, FetchParams, FetchResult, SyncEntry } from "../../shared/agent/protocol.ts";
import type { Clock } from "../../shared/clock.ts";
import { forEachParallel } from "../../shared/parallel.ts";
import { assertLinkable, makeLink, resolveDestination, type DestinationOptions } from "./dest.ts";
import { emptyEntry, FILE_MODE, isSmall, SAME_VERSION_MS, timeOf, toEntry } from "./fetch-entry.ts";
import { fillFile, readSmall, type Download } from "./fetch-ranges.ts";
import { requireSpace } from "./free-space.ts";
import { assertEntries, FileTree, temporaryName } from "./file-tree.ts";
import type { HttpConnections } from "./http-get.ts";
import { placeFile } from "./place-file.ts";
import { explainWriteError } from "./write-errors.ts";

/** Files under way at a time: of small ones enough to hide how long a store takes to answer. */
export const PARALLEL_SMALL = 32;
const PARALLEL_LARGE = 16;

export interface FetchOptions extends DestinationOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly connections: HttpConnections;
}

/**
 * Downloads files to this node, by URLs that carry the right to read them. What is there already, by size, time and content, is left as it is;
 * what replaces a file appears complete or not at all. Throws FETCH_REFUSED (e.g. an expired URL), PATH_EXISTS, NO_SPACE, NOT_ALLOWED.
 */
export async function fetchFiles(
  { dest, files, restBytes = 0 }: Omit<FetchParams, "key">,
  options: FetchOptions,
): Promise<FetchResult> {
  const entries = files.map(toEntry);
  assertEntries(entries);
  const destination = resolveDestination(dest, options.home);
  if (destination.link !== undefined) assertLinkable(destination.link, options.home);
  const tree = new FileTree(destination.path, { keepsFiles: true });
  if (entries.length === 0) tree.makeDirectory({ ...emptyEntry, kind: "dir" });
  const missing = files
    .map((file, index) => ({ file, entry: entries[index] ?? emptyEntry, tree }))
    .map((one) => ({ ...one, stats: tree.find(one.entry) }))
    .filter((one) => !isThere(one));
  requireSpace(destination.path, {
    sizes: missing.map(({ file }) => file.size ?? 0),
    restBytes: missing.length === files.length ? restBytes : 0,
    shown: dest,
  });
  const result = { files: files.length, bytes: 0, unchanged: files.length - missing.length };
  const umask = process.umask();
  const fetch = async (one: Placing): Promise<void> => {
    options.signal.throwIfAborted();
    // Not in one statement: `+=` would add to what the sum was before the wait.
    const bytes = await fetchOne({ ...one, umask }, { ...options, file: one.file });
    result.bytes += bytes;
  };
  try {
    await forEachParallel(
      missing.filter(({ file }) => isSmall(file)),
      PARALLEL_SMALL,
      fetch,
    );
    await forEachParallel(
      missing.filter(({ file }) => !isSmall(file)),
      PARALLEL_LARGE,
      fetch,
    );
    if (destination.link !== undefined) makeLink(destination.link, destination.path, options);
  } catch (error) {
    throw explainWriteError(error, dest);
  }
  return result;
}

interface Placing {
  readonly file: FetchFile;
  readonly entry: SyncEntry;
  readonly tree: FileTree;
  /** What was at the file's place. */
  readonly stats: Stats | undefined;
}

function isThere({ file, entry, tree, stats }: Placing): boolean {
  return file.size !== undefined && stats !== undefined && tree.hasFile(entry, { stats, sameTimeMs: SAME_VERSION_MS });
}

/** Resolves with the number of bytes. */
function fetchOne(placing: Placing & { readonly umask: number }, download: Download): Promise<number> {
  const { entry, tree, stats } = placing;
  tree.ensureParent(entry);
  if (stats !== undefined) tree.assertReplaceable(entry, stats);
  return isSmall(placing.file) ? fetchSmall(placing, download) : fetchLarge(placing, download);
}

/** Content that is held whole until it is there takes one write of the file instead of a round through other threads for each step. */
async function fetchSmall(
  { entry, tree, stats, umask }: Placing & { readonly umask: number },
  download: Download,
): Promise<number> {
  const content = await readSmall(download);
  try {
    placeFile({ entry, path: tree.pathOf(entry), isNew: stats === undefined, umask }, content);
  } catch (error) {
    // An object's key may also be the folder of others.
    tree.assertReplaceable(entry);
    throw error;
  }
  return content.length;
}

async function fetchLarge({ file, entry, tree }: Placing, download: Download): Promise<number> {
  tree.assertReplaceable(entry);
  const path = tree.pathOf(entry);
  const temporary = temporaryName(path);
  const bytes = await writeLarge(temporary, download).catch((error: unknown) => {
    rmSync(temporary, { force: true });
    throw error;
  });
  const mtimeMs = timeOf(file);
  if (mtimeMs !== undefined) utimesSync(temporary, mtimeMs / 1000, mtimeMs / 1000);
  renameSync(temporary, path);
  return bytes;
}

async function writeLarge(path: string, download: Download): Promise<number> {
  const handle = await open(path, "wx", FILE_MODE);
  try {
    const write = (chunk: Buffer, position: number): Promise<unknown> => handle.write(chunk, 0, chunk.length, position);
    return await fillFile({ isInstant: false, write }, download);
  } finally {
    await handle.close();
  }
}
