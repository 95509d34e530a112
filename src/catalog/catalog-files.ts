import { createHash } from "node:crypto";
import { readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../platform/atomic-file.ts";
import { acquireFileLock } from "../platform/lock-file.ts";
import type { SnapshotInfo } from "./snapshot-file.ts";
import { NotSupportedError, OperationFailedError } from "../shared/errors.ts";

/** The price list of a cloud below `~/.sky/catalogs/v8`. */
export function catalogFile(directory: string, cloud: string): string {
  return join(directory, cloud, "vms.csv");
}

/**
 * Whether a refresh has written this content. It notes the checksum of what it wrote; any other content is the user's, and nothing
 * overwrites it.
 */
export function isRefreshed(directory: string, cloud: string, text: string): boolean {
  const digest = md5(text);
  const { note, next } = notesOf(directory, cloud);
  return readNote(note) === digest || readNote(next) === digest;
}

/** @throws NotSupportedError when the user has put a file of their own there */
export function refuseUserFile(directory: string, cloud: string): void {
  const path = catalogFile(directory, cloud);
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return;
  if (isRefreshed(directory, cloud, readFileSync(path, "utf8"))) return;
  throw new NotSupportedError(`${path} is a file of yours, so that it is not overwritten.`, {
    hint: `To have it refreshed from now on, move it away: mv ${path} ${path}.mine`,
  });
}

/**
 * Puts a refreshed price list in place of the last one: a reader sees the old or the new one. `info` says of which day the prices are.
 * @throws NotSupportedError for a user's file
 */
export function installCatalog(directory: string, cloud: string, text: string, info?: SnapshotInfo): void {
  refuseUserFile(directory, cloud);
  if (info !== undefined) writeFileAtomic(infoPath(directory, cloud), JSON.stringify({ md5: md5(text), ...info }));
  const { note, next } = notesOf(directory, cloud);
  // Both checksums count until the file is in place, so that a crash in between never makes it look like the user's.
  writeFileAtomic(next, md5(text));
  writeFileAtomic(catalogFile(directory, cloud), text);
  writeFileAtomic(note, md5(text));
  rmSync(next, { force: true });
}

/** What the refresh that wrote this content has noted of it. */
export function readRefreshInfo(directory: string, cloud: string, text: string): SnapshotInfo | undefined {
  const note = readNote(infoPath(directory, cloud));
  if (note === undefined) return undefined;
  try {
    const { md5: digest, ...info } = JSON.parse(note) as SnapshotInfo & { readonly md5: string };
    return digest === md5(text) ? info : undefined;
  } catch (error) {
    // Without the note the day of the file counts.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function infoPath(directory: string, cloud: string): string {
  return join(directory, ".meta", cloud, "vms.csv.info.json");
}

/** Runs alone among all refreshes of that cloud on this machine. @throws OperationFailedError when another one runs */
export async function whileRefreshing<T>(directory: string, cloud: string, act: () => Promise<T>): Promise<T> {
  const lock = acquireFileLock(join(directory, ".meta", cloud, "refresh.lock"));
  if (lock === undefined) {
    throw new OperationFailedError(`Another refresh of the ${cloud} catalog is running.`, {
      hint: "It goes on by itself; `sky api status` shows the request.",
    });
  }
  try {
    return await act();
  } finally {
    lock.release();
  }
}

function notesOf(directory: string, cloud: string): { readonly note: string; readonly next: string } {
  const note = join(directory, ".meta", cloud, "vms.csv.md5");
  return { note, next: `${note}.next` };
}

function readNote(path: string): string | undefined {
  return statSync(path, { throwIfNoEntry: false }) === undefined ? undefined : readFileSync(path, "utf8").trim();
}

function md5(text: string): string {
  return createHash("md5").update(text).digest("hex");
}
