import type { Dirent, Stats } from "node:fs";
import { join } from "node:path";
import type { SyncEntry } from "../../shared/agent/protocol.ts";
import { MissingFileError, OperationFailedError } from "../../shared/errors.ts";
import {
  enterDirectory,
  ignoreFilesOf,
  isIgnored,
  rootIgnoreStack,
  type IgnoreFiles,
  type IgnoreStack,
} from "../../shared/ignore/ignore.ts";
import { waitingAccess, type FileAccess } from "./file-access.ts";

/** Entries looked at together: enough to hide the disk's latency, few enough to keep memory flat. */
const BATCH = 64;

export interface WalkOptions {
  /** Whether `.skyignore` and git's ignore files count. */
  readonly useIgnoreFiles: boolean;
  /** Told of what is neither file, directory nor link, and therefore left out. */
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
  const rules = options.useIgnoreFiles ? await readRootRules(root, access) : undefined;
  yield* walkDirectory({ root, access, files: rules?.files, options }, "", rules?.stack ?? rootIgnoreStack());
}

interface Walk {
  readonly root: string;
  readonly access: FileAccess;
  readonly files: IgnoreFiles | undefined;
  readonly options: WalkOptions;
}

async function readRootRules(
  root: string,
  access: FileAccess,
): Promise<{ readonly files: IgnoreFiles; readonly stack: IgnoreStack }> {
  const hasSkyignore = (await lstatOrUndefined(join(root, ".skyignore"), access)) !== undefined;
  const files = ignoreFilesOf(hasSkyignore);
  const exclude =
    files.exclude === undefined ? undefined : await readTextOrUndefined(join(root, files.exclude), access);
  return { files, stack: rootIgnoreStack(exclude) };
}

async function* walkDirectory(
  walk: Walk,
  directory: string,
  outer: IgnoreStack,
): AsyncGenerator<SyncEntry, void, undefined> {
  walk.options.signal?.throwIfAborted();
  const absolute = join(walk.root, directory);
  const names = await readNames(absolute, walk.access);
  const hasFile = walk.files !== undefined && names.some((entry) => entry.name === walk.files?.name);
  const text =
    hasFile && walk.files ? await readTextOrUndefined(join(absolute, walk.files.name), walk.access) : undefined;
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
  // Removed while we walk: as if it had never been there.
  const stats = await lstatOrUndefined(absolute, walk.access);
  if (stats === undefined) return undefined;
  const entry = await toEntry(path, stats, () => walk.access.readlink(absolute));
  if (entry === undefined) walk.options.onSkipped?.(path);
  return entry;
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

async function readTextOrUndefined(path: string, access: FileAccess): Promise<string | undefined> {
  try {
    return (await access.readFile(path)).toString("utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR" || code === "EISDIR") return undefined;
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
