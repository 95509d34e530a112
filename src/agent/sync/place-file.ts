import { closeSync, fchmodSync, futimesSync, openSync, renameSync, unlinkSync, writeSync } from "node:fs";
import type { SyncEntry } from "../../shared/agent/protocol.ts";
import { temporaryName } from "./file-tree.ts";

const PERMISSIONS = 0o7777;

export interface Placement {
  readonly entry: SyncEntry;
  readonly path: string;
  /** Whether nothing was there when the sync began. */
  readonly isNew: boolean;
  /** Of this process: which bits a new file does not get. */
  readonly umask: number;
}

/**
 * Writes a small file that is all there, without waiting: hops to other threads would take several times as long as the writing. A file
 * that replaces another appears at once, complete. A new one is written in place, which saves a third of the time; its own
 * modification time comes last, so that what a crash cut off does not pass for it.
 */
export function placeFile(placement: Placement, content: Uint8Array): void {
  const { path, isNew } = placement;
  if (isNew && create(path, placement, content)) return;
  const temporary = temporaryName(path);
  create(temporary, placement, content);
  renameSync(temporary, path);
}

/** False: something is at the path. */
function create(path: string, placement: Placement, content: Uint8Array): boolean {
  const file = openNew(path, placement.entry.mode & PERMISSIONS);
  if (file === undefined) return false;
  try {
    for (let done = 0; done < content.length;) done += writeSync(file, content, done);
    finish(file, placement);
  } catch (error) {
    unlinkSync(path);
    throw error;
  } finally {
    closeSync(file);
  }
  return true;
}

function openNew(path: string, mode: number): number | undefined {
  try {
    return openSync(path, "wx", mode);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return undefined;
    throw error;
  }
}

function finish(file: number, { entry, umask }: Placement): void {
  const mode = entry.mode & PERMISSIONS;
  if ((mode & (umask | ~0o777)) !== 0) fchmodSync(file, mode);
  futimesSync(file, entry.mtimeMs / 1000, entry.mtimeMs / 1000);
}
