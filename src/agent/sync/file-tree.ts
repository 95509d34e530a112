import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  type Stats,
} from "node:fs";
import { randomBytes } from "node:crypto";
import { basename, dirname, join } from "node:path";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { SyncEntry } from "../../shared/agent/protocol.ts";

/** Times that differ by less are equal: file systems keep different fractions of a second. */
const SAME_TIME_MS = 2;

/** As `temporaryName` makes them. */
const TEMPORARY = /^\..+\.[0-9a-f]{8}\.sky-sync$/u;

/** Refuses a manifest with paths that are not below the destination. Throws BAD_PARAMS. */
export function assertEntries(entries: readonly SyncEntry[]): void {
  for (const entry of entries) {
    const { path, kind, size, mode } = entry;
    const isInside = path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
    const isPath = typeof path === "string" && !path.includes("\0") && (path === "" || isInside);
    const isKind = kind === "file" || kind === "dir" || (kind === "link" && typeof entry.target === "string");
    const isNumber = Number.isSafeInteger(size) && size >= 0 && Number.isInteger(mode);
    if (!isPath || !isKind || !isNumber) {
      throw new AgentPeerError("BAD_PARAMS", `The file list has an invalid entry: ${JSON.stringify(path)}.`);
    }
  }
}

export interface HasFileOptions {
  /** What is at the file's place, when the caller has looked. */
  readonly stats?: Stats;
  readonly sameTimeMs?: number;
}

export interface FileTreeOptions {
  /** Whether a file or link that is where a directory has to be stays, which is an error. Else it gives way, as with rsync. */
  readonly keepsFiles?: boolean;
}

/** Places entries below a root without ever going through a symbolic link that lies below it. */
export class FileTree {
  readonly #root: string;
  readonly #keepsFiles: boolean;
  readonly #made = new Set<string>();
  /** Directories that were not there before. */
  readonly #fresh = new Set<string>();
  #lastParent: string | undefined;

  constructor(root: string, { keepsFiles = false }: FileTreeOptions = {}) {
    this.#root = root;
    this.#keepsFiles = keepsFiles;
  }

  pathOf(entry: SyncEntry): string {
    return entry.path === "" ? this.#root : `${this.#root}/${entry.path}`;
  }

  /** Makes the directories above an entry. Throws PATH_EXISTS. */
  ensureParent(entry: SyncEntry): void {
    if (entry.path === "") {
      mkdirSync(dirname(this.#root), { recursive: true });
      return;
    }
    // Entries of one directory come one after the other.
    const parent = parentOf(entry);
    if (parent === this.#lastParent) return;
    this.#ensureRoot();
    for (let end = entry.path.indexOf("/"); end !== -1; end = entry.path.indexOf("/", end + 1))
      this.#ensureDirectory(`${this.#root}/${entry.path.slice(0, end)}`);
    this.#lastParent = parent;
  }

  makeDirectory(entry: SyncEntry): void {
    if (entry.path === "") this.#ensureRoot();
    else this.#ensureDirectory(this.pathOf(entry));
  }

  makeLink(entry: SyncEntry): void {
    const path = this.pathOf(entry);
    const target = entry.target ?? "";
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats?.isSymbolicLink() === true && readlinkSync(path) === target) return;
    this.assertReplaceable(entry, stats);
    const temporary = temporaryName(path);
    symlinkSync(target, temporary);
    renameSync(temporary, path);
  }

  /** What is at the entry's place; nothing is asked for in a directory that was not there before. */
  find(entry: SyncEntry): Stats | undefined {
    const isFresh = entry.path !== "" && this.#fresh.has(parentOf(entry));
    return isFresh ? undefined : statsOf(this.pathOf(entry));
  }

  /** Whether the file is there already, by size and modification time. Its mode is set right. */
  hasFile(entry: SyncEntry, options: HasFileOptions = {}): boolean {
    const path = this.pathOf(entry);
    const { stats = statsOf(path), sameTimeMs = SAME_TIME_MS } = options;
    if (stats === undefined || !stats.isFile() || stats.size !== entry.size) return false;
    if (Math.abs(stats.mtimeMs - entry.mtimeMs) >= sameTimeMs) return false;
    if ((stats.mode & 0o7777) !== (entry.mode & 0o7777)) chmodSync(path, entry.mode & 0o7777);
    return true;
  }

  /** A file or link does not replace a directory: what is in it could be precious. */
  assertReplaceable(entry: SyncEntry, stats = lstatSync(this.pathOf(entry), { throwIfNoEntry: false })): void {
    if (stats?.isDirectory() !== true) return;
    const path = this.pathOf(entry);
    throw new AgentPeerError("PATH_EXISTS", `${path} is a directory on the node, but a ${entry.kind} in the upload.`, {
      hint: "Remove it on the node, or rename the upload.",
    });
  }

  /** Modes and times of directories, deepest first, after everything in them is in place. */
  finishDirectories(entries: readonly SyncEntry[]): void {
    const directories = entries.filter((entry) => entry.kind === "dir").sort((a, b) => b.path.length - a.path.length);
    for (const entry of directories) {
      const path = this.pathOf(entry);
      chmodSync(path, entry.mode & 0o7777);
      utimesSync(path, entry.mtimeMs / 1000, entry.mtimeMs / 1000);
    }
  }

  #ensureRoot(): void {
    // The destination itself may be a link to a directory that the user chose.
    if (this.#made.has("")) return;
    try {
      if (mkdirSync(this.#root, { recursive: true }) === undefined) sweep(this.#root);
      else this.#fresh.add("");
    } catch (error) {
      throw asPathExists(error, this.#root);
    }
    this.#made.add("");
  }

  #ensureDirectory(path: string): void {
    if (this.#made.has(path)) return;
    const stats: Stats | undefined = lstatSync(path, { throwIfNoEntry: false });
    if (stats !== undefined && !stats.isDirectory()) {
      if (this.#keepsFiles) throw notADirectory(path, stats.isSymbolicLink() ? "link" : "file");
      unlinkSync(path);
    }
    if (stats?.isDirectory() !== true) {
      mkdirSync(path, { mode: 0o755 });
      this.#fresh.add(path.slice(this.#root.length + 1));
    } else {
      // A read-only directory gets its mode at the end; until then we must be able to write into it.
      if ((stats.mode & 0o700) !== 0o700) chmodSync(path, (stats.mode & 0o7777) | 0o700);
      sweep(path);
    }
    this.#made.add(path);
  }
}

/** A file where the destination, or a directory above it, has to be: it may be precious. */
function asPathExists(error: unknown, path: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== "EEXIST" && code !== "ENOTDIR") return error;
  return notADirectory(path, "file");
}

function notADirectory(path: string, what: "file" | "link"): AgentPeerError {
  return new AgentPeerError("PATH_EXISTS", `${path} has to be a directory, but there is a ${what} on the node.`, {
    hint: "Remove it on the node, or copy to another path.",
  });
}

/** Undefined when there is nothing, also because a file is where a directory would have to be. */
function statsOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOTDIR") return undefined;
    throw error;
  }
}

/** Directories in which nothing is left of agents before this one. */
const swept = new Set<string>();

/** Takes away what an agent left half written that died, or whose machine did. Files come in batches: a directory is read once, not for each. */
function sweep(directory: string): void {
  if (swept.has(directory)) return;
  swept.add(directory);
  for (const name of readdirSync(directory)) {
    if (!TEMPORARY.test(name)) continue;
    const path = join(directory, name);
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats !== undefined && stats.mtimeMs < performance.timeOrigin) rmSync(path, { force: true });
  }
}

function parentOf({ path }: SyncEntry): string {
  const end = path.lastIndexOf("/");
  return end === -1 ? "" : path.slice(0, end);
}

/** A name beside the file, on the same file system, that nothing else uses. */
export function temporaryName(path: string): string {
  const name = Buffer.from(basename(path))
    .subarray(0, 200)
    .toString("latin1")
    .replaceAll(/[^\w.-]/g, "_");
  return join(dirname(path), `.${name}.${randomBytes(4).toString("hex")}.sky-sync`);
}
