import { open, type FileHandle } from "node:fs/promises";
import { renderControl } from "../../shared/wire/control-lines.ts";
import { encodeText } from "./byte-stream.ts";

const PIECE_BYTES = 256 * 1024;
const NEWLINE = 0x0a;

export interface FollowOptions {
  readonly path: string;
  /** Byte to start at. */
  readonly offset: number;
  /** Whether nothing will be added any more; asked before each reading. */
  readonly isComplete: () => Promise<boolean> | boolean;
  /** Resolves when the file may have grown, or after the time. */
  readonly waitForChange: (timeoutMs: number) => Promise<void>;
  /** Silence after which a heartbeat is sent; undefined = never. */
  readonly heartbeatMs: number | undefined;
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/**
 * Sends a file from an offset on and follows it until it is complete. A missing file counts as empty. A heartbeat is sent only
 * where a line begins.
 */
export async function* followFile(options: FollowOptions): AsyncGenerator<Uint8Array> {
  const { signal } = options;
  const reader = new GrowingFile(options.path, options.offset);
  let lastSent = options.now();
  try {
    while (!signal.aborted) {
      // Asked first: what was written before the end is read after it.
      const isComplete = await options.isComplete();
      for (let piece = await reader.read(); piece !== undefined; piece = await reader.read()) {
        lastSent = options.now();
        yield piece;
        if (signal.aborted) return;
      }
      if (isComplete) return;
      const silence = options.now() - lastSent;
      if (options.heartbeatMs !== undefined && silence >= options.heartbeatMs) {
        lastSent = options.now();
        if (reader.isLineStart) yield encodeText(renderControl({ kind: "heartbeat" }));
        continue;
      }
      await options.waitForChange(options.heartbeatMs === undefined ? 60_000 : options.heartbeatMs - silence);
    }
  } finally {
    await reader.close();
  }
}

/** Reads a file, which may not be there yet, piece by piece from an offset on. */
class GrowingFile {
  readonly #path: string;
  #file: FileHandle | undefined;
  #offset: number;
  /** Whether the next byte begins a line. */
  isLineStart = true;

  constructor(path: string, offset: number) {
    this.#path = path;
    this.#offset = offset;
  }

  /** The next piece; undefined when there is none at this moment. */
  async read(): Promise<Uint8Array | undefined> {
    if (this.#file === undefined) {
      this.#file = await openIfThere(this.#path);
      if (this.#file === undefined) return undefined;
      if (this.#offset > 0) this.isLineStart = await startsLine(this.#file, this.#offset);
    }
    const piece = await readPiece(this.#file, this.#offset);
    if (piece === undefined) return undefined;
    this.#offset += piece.length;
    this.isLineStart = piece.at(-1) === NEWLINE;
    return piece;
  }

  async close(): Promise<void> {
    await this.#file?.close();
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, "r");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

async function startsLine(file: FileHandle, offset: number): Promise<boolean> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(1), 0, 1, offset - 1);
  return bytesRead === 0 || buffer[0] === NEWLINE;
}

async function readPiece(file: FileHandle, offset: number): Promise<Uint8Array | undefined> {
  const { size } = await file.stat();
  const length = Math.min(PIECE_BYTES, size - offset);
  if (length <= 0) return undefined;
  const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, offset);
  return bytesRead === 0 ? undefined : buffer.subarray(0, bytesRead);
}
