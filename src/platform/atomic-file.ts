import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

export interface AtomicWriteOptions {
  /** Permission bits of the file (0o644). */
  readonly mode?: number;
  /** Permission bits of folders that have to be made (0o755). */
  readonly directoryMode?: number;
  /** Whether the content is on the disk before the name is: after a power cut it is the old or the new one, and not empty. */
  readonly isDurable?: boolean;
}

/** Writes a file so that readers see the old or the new content, never a part. The temporary file has the final permissions from the start. */
export function writeFileAtomic(path: string, content: string | Uint8Array, options: AtomicWriteOptions = {}): void {
  mkdirSync(dirname(path), { recursive: true, mode: options.directoryMode ?? 0o755 });
  const temporary = `${path}.${process.pid}.${process.hrtime.bigint()}.tmp`;
  try {
    const flush = options.isDurable === true;
    writeFileSync(temporary, content, { mode: options.mode ?? 0o644, flag: "wx", flush });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
