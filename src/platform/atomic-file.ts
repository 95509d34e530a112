import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

export interface AtomicWriteOptions {
  /** Permission bits of the file (0o644). */
  readonly mode?: number;
  /** Permission bits of folders that have to be made (0o755). */
  readonly directoryMode?: number;
}

/** Writes a file so that readers see the old or the new content, never a part. The temporary file has the final permissions from the start. */
export function writeFileAtomic(path: string, content: string | Uint8Array, options: AtomicWriteOptions = {}): void {
  mkdirSync(dirname(path), { recursive: true, mode: options.directoryMode ?? 0o755 });
  const temporary = `${path}.${process.pid}.${process.hrtime.bigint()}.tmp`;
  try {
    writeFileSync(temporary, content, { mode: options.mode ?? 0o644, flag: "wx" });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
