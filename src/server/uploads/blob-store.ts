import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readdir, rename, rm, stat, statfs, utimes } from "node:fs/promises";
import { join } from "node:path";
import { randomUUID } from "node:crypto";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { SkyError } from "../../shared/errors.ts";
import type { UploadResult } from "../../shared/wire/upload.ts";
import { unzip } from "./unzip.ts";

/** Room that an upload must leave on the disk. */
const RESERVE_BYTES = 256 * 1024 * 1024;

export interface BlobId {
  readonly userId: string;
  readonly blobId: string;
}

class UploadTooLargeError extends SkyError {
  readonly code = "UPLOAD_TOO_LARGE";
  override readonly wireName = "ValueError";
  override readonly status = 413;
}

class DiskFullError extends SkyError {
  readonly code = "DISK_FULL";
  override readonly wireName = "OSError";
  override readonly status = 507;
}

class UploadBrokenOffError extends SkyError {
  readonly code = "UPLOAD_BROKEN_OFF";
  override readonly wireName = "ConnectionError";
  override readonly status = 400;
}

/** Directory with the unpacked files of one upload. */
export function blobDirectory(root: string, blob: BlobId): string {
  return join(root, blob.userId, blob.blobId);
}

export interface BlobStoreOptions {
  readonly blobs: string;
  readonly uploads: string;
  /** Bytes that the zip, and its unpacked files, may have. */
  readonly maxBytes: number;
}

/** Takes uploads in chunks and keeps them unpacked under the hash of their content. */
export class BlobStore {
  readonly #options: BlobStoreOptions;
  readonly #finishing = new Map<string, Promise<void>>();

  constructor(options: BlobStoreOptions) {
    this.#options = options;
  }

  /** Whether the blob is there; a positive answer keeps it alive for another hour. */
  async has(blob: BlobId): Promise<boolean> {
    const directory = blobDirectory(this.#options.blobs, blob);
    if (!(await exists(directory))) return false;
    const now = new Date();
    await utimes(directory, now, now);
    return true;
  }

  /** Says early that a blob of this size cannot be stored. Throws UploadTooLargeError and DiskFullError. */
  async assertRoom(bytes: number): Promise<void> {
    if (bytes > this.#options.maxBytes) throw this.#tooLarge();
    await mkdir(this.#options.uploads, { recursive: true, mode: 0o700 });
    const { bavail, bsize } = await statfs(this.#options.uploads);
    if (bavail * bsize < bytes + RESERVE_BYTES) throw diskFull();
  }

  /** Stores one chunk; the last missing one completes the blob. Any order, any repetition. */
  async putChunk(
    blob: BlobId,
    chunk: { readonly index: number; readonly total: number; readonly body: ReadableStream<Uint8Array> | null },
  ): Promise<UploadResult> {
    if (await this.has(blob)) {
      await chunk.body?.cancel();
      return { status: "completed", missing_chunks: null };
    }
    const directory = join(this.#options.uploads, blob.userId, blob.blobId);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await this.#writeChunk(directory, chunk);
    const missing = await missingChunks(directory, chunk.total);
    if (missing.length > 0 && !(await this.has(blob))) return { status: "uploading", missing_chunks: missing };
    await this.#finish(blob, { directory, total: chunk.total });
    return { status: "completed", missing_chunks: null };
  }

  async #writeChunk(
    directory: string,
    chunk: { readonly index: number; readonly body: ReadableStream<Uint8Array> | null },
  ): Promise<void> {
    let size = await directorySize(directory);
    await this.assertRoom(size);
    const limit = new Transform({
      transform: (bytes: Buffer, _encoding, done) => {
        size += bytes.length;
        done(size > this.#options.maxBytes ? this.#tooLarge() : null, bytes);
      },
    });
    const temporary = join(directory, `incoming-${randomUUID()}`);
    try {
      const source = chunk.body === null ? Readable.from([]) : Readable.fromWeb(chunk.body as never);
      await pipeline(source, limit, createWriteStream(temporary, { flags: "wx", mode: 0o600 }));
      await rename(temporary, join(directory, `part${chunk.index}`));
    } catch (error) {
      await rm(temporary, { force: true });
      throw toUploadError(error);
    }
  }

  /** Puts the chunks together and unpacks them, once, however many calls notice that all are there. */
  async #finish(blob: BlobId, upload: { readonly directory: string; readonly total: number }): Promise<void> {
    const key = `${blob.userId}/${blob.blobId}`;
    const running = this.#finishing.get(key) ?? this.#unpack(blob, upload);
    this.#finishing.set(key, running);
    try {
      await running;
    } finally {
      this.#finishing.delete(key);
    }
  }

  async #unpack(blob: BlobId, upload: { readonly directory: string; readonly total: number }): Promise<void> {
    if (await this.has(blob)) return;
    const { directory, total } = upload;
    const archive = join(directory, "whole.zip");
    const staging = join(this.#options.blobs, blob.userId, `.staging-${randomUUID()}`);
    try {
      for (let index = 0; index < total; index++) {
        const output = createWriteStream(archive, { flags: index === 0 ? "w" : "a", mode: 0o600 });
        await pipeline(createReadStream(join(directory, `part${index}`)), output);
      }
      await unzip(archive, staging, { maxBytes: this.#options.maxBytes });
      await rename(staging, blobDirectory(this.#options.blobs, blob));
    } catch (error) {
      await rm(staging, { recursive: true, force: true });
      throw toUploadError(error);
    } finally {
      // Also after a bad zip: the client packs and uploads again.
      await rm(directory, { recursive: true, force: true });
    }
  }

  #tooLarge(): UploadTooLargeError {
    return new UploadTooLargeError(`The upload is larger than ${this.#options.maxBytes} bytes.`, {
      hint: "Exclude files with .skyignore, or raise SKYPILOT_MAX_UPLOAD_TOTAL_BYTES where the server runs.",
    });
  }
}

/**
 * Removes blobs and unfinished uploads that nobody has used for `maxAgeMs`, except those that an active request needs.
 * Returns how many.
 */
export async function collectBlobs(
  options: Pick<BlobStoreOptions, "blobs" | "uploads"> & {
    readonly inUse: ReadonlySet<string>;
    readonly now: number;
    readonly maxAgeMs: number;
  },
): Promise<number> {
  let removed = 0;
  for (const root of [options.blobs, options.uploads]) {
    for (const userId of await names(root)) {
      for (const name of await names(join(root, userId))) {
        const path = join(root, userId, name);
        const { mtimeMs } = await stat(path);
        if (options.inUse.has(name) || options.now - mtimeMs < options.maxAgeMs) continue;
        await rm(path, { recursive: true, force: true });
        removed += 1;
      }
    }
  }
  return removed;
}

async function names(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}

async function missingChunks(directory: string, total: number): Promise<string[]> {
  const present = new Set(await names(directory));
  return Array.from({ length: total }, (_, index) => `part${index}`).filter((name) => !present.has(name));
}

async function directorySize(directory: string): Promise<number> {
  let size = 0;
  for (const name of await names(directory))
    if (name.startsWith("part")) size += (await stat(join(directory, name))).size;
  return size;
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}

function toUploadError(error: unknown): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (error instanceof SkyError) return error;
  if (code === "ENOSPC" || code === "EDQUOT") return diskFull(error);
  if (code === "ERR_STREAM_PREMATURE_CLOSE" || code === "ECONNRESET" || code === "ABORT_ERR") {
    return new UploadBrokenOffError("Client disconnected, please try again.", { cause: error });
  }
  return error;
}

function diskFull(cause?: unknown): DiskFullError {
  return new DiskFullError("The API server's disk has no room for this upload.", {
    cause,
    hint: "Free some space where the server runs and repeat the command.",
  });
}
