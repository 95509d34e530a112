import type { Dirent, Stats } from "node:fs";
import { realpath } from "node:fs/promises";
import { join } from "node:path";
import type { SyncEntry } from "../../shared/agent/protocol.ts";
import { MissingFileError, OperationFailedError } from "../../shared/errors.ts";
import { enterDirectory, isIgnored, noIgnoreRules, type IgnoreStack } from "../../shared/ignore/ignore.ts";
import { findRootRules, isNoFile, type RootRules } from "../../shared/ignore/root-rules.ts";
import { waitingAccess, type FileAccess } from "./file-access.ts";

/** Entries looked at together: enough to hide the disk's latency, few enough to keep memory flat. */
const BATCH = 64;

export interface WalkOptions {
  /** The highest directory whose ignore files may count, `/` for all that git reads; undefined: none counts, those in the tree included. */
  readonly ignoreFilesFrom: string | undefined;
  /** Told of what is left out: neither file, directory nor link, or with a name that is not UTF-8. */
  readonly onSkipped?: (path: string) => void;
  readonly signal?: AbortSignal;
  readonly access?: FileAccess;
}

/**
 * Lists what is below `root`, a directory before its content, names in byte order. Symbolic links are listed, never followed.
 * Throws MissingFileError and OperationFailedError for what cannot be read.
 */
export async function* walkTree(root: string, options: WalkOptions): AsyncGenerator<SyncEntry, void, undefined> {
  const access = options.access ?? waitingAccess;
  const { fileName, stack } = await readRootRules(root, options.ignoreFilesFrom, access);
  yield* walkDirectory({ root, access, fileName, options }, "", stack);
}

interface Walk {
  readonly root: string;
  readonly access: FileAccess;
  readonly fileName: RootRules["fileName"] | undefined;
  readonly options: WalkOptions;
}

async function readRootRules(
  root: string,
  ceiling: string | undefined,
  access: FileAccess,
): Promise<Pick<Walk, "fileName"> & Pick<RootRules, "stack">> {
  if (ceiling === undefined) return { fileName: undefined, stack: noIgnoreRules };
  const search = findRootRules(await real(root), await real(ceiling));
  let step = search.next();
  while (step.done !== true) {
    const { path, isProbe } = step.value;
    step = search.next(await readTextOrUndefined(path, { access, isProbe }));
  }
  return step.value;
}

async function real(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    throw unreadable(path, error);
  }
}

async function* walkDirectory(
  walk: Walk,
  directory: string,
  outer: IgnoreStack,
): AsyncGenerator<SyncEntry, void, undefined> {
  walk.options.signal?.throwIfAborted();
  const absolute = join(walk.root, directory);
  const names = await readNames(absolute, walk.access);
  const ignoreFile = names.find((entry) => entry.name === walk.fileName);
  const text = ignoreFile && (await readTextOrUndefined(join(absolute, ignoreFile.name), walk));
  const stack = enterDirectory(outer, directory, text);
  const kept = names.filter((entry) => !isIgnored(stack, childOf(directory, entry.name), entry.isDirectory()));
  for (let start = 0; start < kept.length; start += BATCH) {
    const batch = kept.slice(start, start + BATCH);
    const entries = await Promise.all(batch.map((entry) => describe(walk, childOf(directory, entry.name))));
    for (const entry of entries) {
      if (entry === undefined) continue;
      yield entry;
      if (entry.kind === "dir") yield* walkDirectory(walk, entry.path, stack);
    }
  }
}

function childOf(directory: string, name: string): string {
  return directory === "" ? name : `${directory}/${name}`;
}

async function readNames(absolute: string, access: FileAccess): Promise<Dirent[]> {
  try {
    const entries = await access.readdir(absolute);
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    throw unreadable(absolute, error);
  }
}

async function describe(walk: Walk, path: string): Promise<SyncEntry | undefined> {
  const absolute = join(walk.root, path);
  const stats = await lstatOrUndefined(absolute, walk.access);
  if (stats === undefined) {
    // Removed while we walk: as if it had never been there.
    if (hasForeignName(path)) walk.options.onSkipped?.(path);
    return undefined;
  }
  const entry = await toEntry(path, stats, () => walk.access.readlink(absolute));
  if (entry === undefined) walk.options.onSkipped?.(path);
  return entry;
}

/** Whether a path is what Node makes of a name whose bytes are not UTF-8, by which nothing is found. */
export function hasForeignName(path: string): boolean {
  return path.includes("\uFFFD");
}

/** The manifest entry of one file, directory or link; undefined for sockets, pipes and devices. */
export async function toEntry(
  path: string,
  stats: Stats,
  readTarget: () => Promise<string>,
): Promise<SyncEntry | undefined> {
  const base = { path, mode: stats.mode & 0o7777, mtimeMs: Math.floor(stats.mtimeMs) };
  if (stats.isFile()) return { ...base, kind: "file", size: stats.size };
  if (stats.isDirectory()) return { ...base, kind: "dir", size: 0 };
  if (stats.isSymbolicLink()) return { ...base, kind: "link", size: 0, target: await readTarget() };
  return undefined;
}

async function lstatOrUndefined(path: string, access: FileAccess): Promise<Stats | undefined> {
  try {
    return await access.lstat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw unreadable(path, error);
  }
}

async function readTextOrUndefined(
  path: string,
  { access, isProbe = false }: { readonly access: FileAccess; readonly isProbe?: boolean },
): Promise<string | undefined> {
  try {
    return (await access.readFile(path)).toString("utf8");
  } catch (error) {
    if (isNoFile(error, isProbe)) return undefined;
    throw unreadable(path, error);
  }
}

/** Says which path could not be read, and why. */
export function unreadable(path: string, error: unknown): Error {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") return new MissingFileError(`${path} does not exist.`, { cause: error });
  if (code === "EACCES" || code === "EPERM") {
    return new OperationFailedError(`${path} cannot be read: permission denied.`, {
      cause: error,
      hint: "Make it readable for the user of the API server, or list it in .skyignore.",
    });
  }
  return error instanceof Error ? error : new Error(String(error));
}
