import { closeSync, fstatSync, openSync, readSync, watch, type FSWatcher } from "node:fs";
import type { Clock } from "../../shared/clock.ts";

/** Read at once from a file. */
export const READ_BYTES = 256 * 1024;
/** Before a file is watched: a task that is over by then costs no watch. */
const FIRST_LOOK_MS = 15;
/** For file systems that do not report changes. */
const POLL_MS = 500;

/** Reads up to READ_BYTES at an offset; empty at the end of the file or when there is none. */
export function readChunk(path: string, offset: number, maxBytes: number = READ_BYTES): Buffer {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return Buffer.alloc(0);
    throw error;
  }
  try {
    const size = Math.min(maxBytes, Math.max(0, fstatSync(file).size - offset));
    if (size === 0) return Buffer.alloc(0);
    const bytes = Buffer.allocUnsafeSlow(size);
    return bytes.subarray(0, readSync(file, bytes, 0, size, offset));
  } finally {
    closeSync(file);
  }
}

export interface TailOptions {
  readonly offset: number;
  /** Whether the writer is gone: what is in the file then is all there will be. */
  readonly isOver: () => boolean;
  /** Settles when the writer is gone. */
  readonly over: Promise<unknown>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Yields what is in a file and what is added to it, until its writer is gone and all is read. */
export async function* tailFile(path: string, options: TailOptions): AsyncGenerator<Buffer, void, undefined> {
  let { offset } = options;
  let changes: FileChanges | undefined;
  let waits = 0;
  try {
    while (!options.signal.aborted) {
      const isOver = options.isOver();
      const bytes = readChunk(path, offset);
      if (bytes.length > 0) {
        offset += bytes.length;
        yield bytes;
      } else if (isOver) {
        return;
      } else if (waits === 0) {
        waits = 1;
        await settled([options.over], { ms: FIRST_LOOK_MS, ...options });
      } else {
        if (changes === undefined) {
          // Between the read and the watch the file may have grown: read once more before waiting.
          changes = new FileChanges(path);
          continue;
        }
        await settled([options.over, changes.next()], { ms: POLL_MS, ...options });
      }
    }
  } finally {
    changes?.close();
  }
}

/** Resolves when one of the promises settles, after `ms`, or on abort. */
async function settled(
  promises: readonly Promise<unknown>[],
  options: { readonly ms: number; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  const timer = new AbortController();
  const signal = AbortSignal.any([timer.signal, options.signal]);
  const sleep = options.clock.sleep(options.ms, { signal }).catch(() => undefined);
  await Promise.race([...promises, sleep]).catch(() => undefined);
  timer.abort();
}

/** Changes of one file as the kernel reports them. */
class FileChanges {
  readonly #watcher: FSWatcher | undefined;
  #isChanged = false;
  #wake: (() => void) | undefined;

  constructor(path: string) {
    try {
      this.#watcher = watch(path, () => {
        this.#isChanged = true;
        this.#wake?.();
      });
      this.#watcher.on("error", () => undefined);
    } catch {
      // No watches left, or a file system without: the poll of the caller serves.
      this.#watcher = undefined;
    }
  }

  async next(): Promise<void> {
    if (!this.#isChanged) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#isChanged = false;
  }

  close(): void {
    this.#watcher?.close();
  }
}
