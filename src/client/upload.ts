import { createReadStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadUserHash } from "../platform/user-hash.ts";
import { writeZip } from "../platform/zip.ts";
import { OperationFailedError } from "../shared/errors.ts";
import { errorOfAnswer } from "./remote-errors.ts";
import type { Session } from "./session.ts";
import { readText } from "./transport.ts";
import { hashUpload, listUpload } from "./upload-list.ts";

export interface UploadOptions {
  readonly onProgress?: ((message: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

const CHUNK_BYTES = 95_000_000;
const PARALLEL_CHUNKS = 4;
const CHUNK_TRIES = 3;
const WHOLE_TRIES = 3;

interface Blob {
  readonly id: string;
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  readonly userHash: string;
}

/** Sends local files and directories to a remote server and gives the id to name them by. What the server has is not sent again. */
export async function uploadPaths(
  session: Session,
  paths: readonly string[],
  options: UploadOptions = {},
): Promise<string> {
  const { env, home } = session.options;
  const userHash = loadUserHash(env, home);
  options.onProgress?.("Uploading files to API server (1/2 - Zipping)");
  const sources = listUpload(paths);
  const id = await hashUpload(sources, options);
  const size = sources.reduce((sum, source) => sum + (source.kind === "file" ? source.size : 0), 0);
  const query = { user_hash: userHash, blob_id: id, size_bytes: size };
  const { exists } = await session.json<{ exists: boolean }>("GET", "/upload_v2/blob", {
    query,
    repeatable: true,
    signal: options.signal,
  });
  if (exists) return id;
  const folder = await mkdtemp(join(tmpdir(), "sky-upload-"));
  try {
    const path = join(folder, "upload.zip");
    const zip = await writeZip(path, sources, options);
    options.onProgress?.("Uploading files to API server (2/2 - Uploading)");
    await sendBlob(session, { id, path, size: zip.size, userHash }, options);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return id;
}

async function sendBlob(session: Session, blob: Blob, options: UploadOptions): Promise<void> {
  const total = Math.max(1, Math.ceil(blob.size / CHUNK_BYTES));
  for (let attempt = 0; attempt < WHOLE_TRIES; attempt += 1) {
    let next = 0;
    let completed = false;
    const worker = async (): Promise<void> => {
      while (next < total) {
        const index = next;
        next += 1;
        if ((await sendChunk(session, blob, { index, total }, options)) === "completed") completed = true;
      }
    };
    await Promise.all(Array.from({ length: Math.min(PARALLEL_CHUNKS, total) }, worker));
    if (completed) return;
  }
  throw new OperationFailedError("The API server did not take all parts of the upload.", { hint: "try again" });
}

async function sendChunk(
  session: Session,
  blob: Blob,
  part: { readonly index: number; readonly total: number },
  options: UploadOptions,
): Promise<string> {
  const start = part.index * CHUNK_BYTES;
  let failure: unknown;
  for (let attempt = 0; attempt < CHUNK_TRIES; attempt += 1) {
    if (attempt > 0)
      await session.options.clock.sleep(1000, options.signal === undefined ? {} : { signal: options.signal });
    const body = createReadStream(blob.path, { start, end: Math.min(start + CHUNK_BYTES, blob.size) - 1 });
    try {
      const answer = await session.transport.send("POST", "/upload_v2", {
        query: { user_hash: blob.userHash, upload_id: blob.id, chunk_index: part.index, total_chunks: part.total },
        body,
        signal: options.signal,
      });
      const text = await readText(answer);
      if (answer.status === 200) return (JSON.parse(text) as { status: string }).status;
      failure = errorOfAnswer(answer.status, "/upload_v2", text);
      // Too large, no space, bad archive: the same bytes would fail again.
      if (answer.status < 500 || answer.status === 507) break;
    } catch (error) {
      if (options.signal?.aborted === true) throw error;
      failure = error;
    } finally {
      body.destroy();
    }
  }
  throw failure;
}
