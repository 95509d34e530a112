import { createHash } from "node:crypto";
import type { FetchFile, SyncEntry } from "../../shared/agent/protocol.ts";

/** Files up to this size are held whole in memory, some of them at a time. */
const SMALL_BYTES = 256 * 1024;
export const FILE_MODE = 0o644;
/** A time may lose a microsecond on its way to the disk and back. */
export const SAME_VERSION_MS = 0.002;

export const emptyEntry: SyncEntry = { path: "", kind: "file", mode: FILE_MODE, size: 0, mtimeMs: 0 };

/** What a download becomes on the disk. */
export function toEntry(file: FetchFile): SyncEntry {
  return { ...emptyEntry, path: file.path, size: file.size ?? 0, mtimeMs: timeOf(file) ?? 0 };
}

/** Whether all of a file is known beforehand, and its content may wait in memory. */
export function isSmall({ size, mtimeMs }: FetchFile): boolean {
  return size !== undefined && size <= SMALL_BYTES && mtimeMs !== undefined;
}

/**
 * Stores keep whole seconds, in which content may be replaced by other content of the same size. The fraction of the second in the
 * file's time therefore says which content it is: it is written with the file, and needs no list that could get lost or out of step.
 */
export function timeOf({ mtimeMs, etag }: FetchFile): number | undefined {
  if (mtimeMs === undefined || etag === undefined) return mtimeMs;
  const microseconds = createHash("sha256").update(etag).digest().readUInt32BE() % 1_000_000;
  return Math.floor(mtimeMs / 1000) * 1000 + microseconds / 1000;
}
