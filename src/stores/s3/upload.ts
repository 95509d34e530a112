import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import type { CompletedPart, S3Client } from "@aws-sdk/client-s3";
import type { ObjectPlace, StoredObject, UploadFile, UploadProgress } from "../../core/ports/object-store.ts";
import { OperationFailedError } from "../../shared/errors.ts";
import { forEachParallel } from "../../shared/parallel.ts";
import { listObjects } from "./list.ts";

const MIB = 1024 * 1024;
/** Files up to this size are small: many of them are under way at a time. */
const SMALL_BYTES = MIB;
const PARALLEL_SMALL = 32;
/** Files up to this size go in one call, larger ones in parts of it, so that what is under way holds 64 MiB at most. */
const SINGLE_BYTES = 8 * MIB;
const PARALLEL_LARGE = 8;
/** S3 takes at most this many parts of an object. */
const MAX_PARTS = 10_000;
/** A machine whose clock is off by more is refused by S3. */
const MAX_SKEW_MS = 15 * 60_000;

export interface UploadJob {
  readonly client: S3Client;
  readonly place: ObjectPlace;
  readonly files: readonly UploadFile[];
  readonly onProgress?: (progress: UploadProgress) => void;
  readonly signal: AbortSignal;
}

/**
 * Sends what the place lacks. A file counts as there when size and content hash agree, or when size agrees and the object is
 * clearly newer than the file. Large files are sent in parts, one file at a time, so that memory stays flat.
 */
export async function uploadFiles(job: UploadJob): Promise<UploadProgress> {
  const there = await readExisting(job);
  let progress: UploadProgress = { files: 0, bytes: 0, unchangedFiles: 0 };
  const count = (file: UploadFile, isUnchanged: boolean): void => {
    progress = {
      files: progress.files + 1,
      bytes: progress.bytes + file.size,
      unchangedFiles: progress.unchangedFiles + (isUnchanged ? 1 : 0),
    };
    job.onProgress?.(progress);
  };
  const send = async (file: UploadFile, put: (file: UploadFile, key: string) => Promise<void>): Promise<void> => {
    job.signal.throwIfAborted();
    const key = keyOf(job.place, file);
    const object = there.get(key);
    const isUnchanged = object !== undefined && (await isSame(file, object));
    if (!isUnchanged) await put(file, key);
    count(file, isUnchanged);
  };
  const sized = (from: number, to: number): readonly UploadFile[] =>
    job.files.filter(({ size }) => size > from && size <= to);
  const whole = (file: UploadFile): Promise<void> => send(file, (one, key) => putWhole(job, one, key));
  await forEachParallel(sized(-1, SMALL_BYTES), PARALLEL_SMALL, whole);
  await forEachParallel(sized(SMALL_BYTES, SINGLE_BYTES), PARALLEL_LARGE, whole);
  for (const file of sized(SINGLE_BYTES, Infinity)) await send(file, (one, key) => putInParts(job, one, key));
  return progress;
}

function keyOf(place: ObjectPlace, file: UploadFile): string {
  return place.prefix === "" ? file.key : `${place.prefix}/${file.key}`;
}

async function readExisting(job: UploadJob): Promise<ReadonlyMap<string, StoredObject>> {
  const wanted = new Set(job.files.map((file) => keyOf(job.place, file)));
  const there = new Map<string, StoredObject>();
  for await (const object of listObjects(job.client, job.place, job.signal)) {
    if (wanted.has(object.key)) there.set(object.key, object);
  }
  return there;
}

async function isSame(file: UploadFile, object: StoredObject): Promise<boolean> {
  if (file.size !== object.size) return false;
  // Our clock and the store's differ: a file that is written after its object may seem a little older.
  if (file.mtimeMs + MAX_SKEW_MS < object.modifiedMs) return true;
  return (await etagOf(file)) === object.etag;
}

/** What the store names the content if it was sent as we send it; stores with keys of their own name it otherwise. */
async function etagOf({ path, size }: UploadFile): Promise<string> {
  if (size <= SINGLE_BYTES) return (await md5Of(path, 0, size)).toString("hex");
  const partBytes = partBytesOf(size);
  const whole = createHash("md5");
  for (let from = 0; from < size; from += partBytes) whole.update(await md5Of(path, from, partBytes));
  return `${whole.digest("hex")}-${Math.ceil(size / partBytes)}`;
}

async function md5Of(path: string, from: number, bytes: number): Promise<Buffer> {
  const hash = createHash("md5");
  if (bytes === 0) return hash.digest();
  for await (const chunk of createReadStream(path, { start: from, end: from + bytes - 1 }))
    hash.update(chunk as Buffer);
  return hash.digest();
}

function partBytesOf(size: number): number {
  return Math.max(SINGLE_BYTES, Math.ceil(size / MAX_PARTS));
}

async function putWhole({ client, place, signal }: UploadJob, file: UploadFile, key: string): Promise<void> {
  const { PutObjectCommand } = await import("@aws-sdk/client-s3");
  const handle = await open(file.path);
  try {
    const Body = await readExactly(handle, file, { from: 0, size: file.size });
    await client.send(new PutObjectCommand({ Bucket: place.bucket, Key: key, Body }), { abortSignal: signal });
  } finally {
    await handle.close();
  }
}

/** An upload that fails is taken back, so that no parts stay behind that cost money. */
async function putInParts(job: UploadJob, file: UploadFile, key: string): Promise<void> {
  const { AbortMultipartUploadCommand, CreateMultipartUploadCommand } = await import("@aws-sdk/client-s3");
  const { client, place, signal } = job;
  const target = { Bucket: place.bucket, Key: key };
  const create = new CreateMultipartUploadCommand({ ...target, ChecksumAlgorithm: "CRC32" });
  const { UploadId, ChecksumAlgorithm } = await client.send(create, { abortSignal: signal });
  try {
    await putParts(job, file, { ...target, UploadId, hasChecksums: ChecksumAlgorithm === "CRC32" });
  } catch (error) {
    // The reason of the failure is what counts; parts that stay are removed with the bucket, or by its own rules.
    await client.send(new AbortMultipartUploadCommand({ ...target, UploadId })).catch(() => undefined);
    throw error;
  }
}

interface PartsTarget {
  readonly Bucket: string;
  readonly Key: string;
  readonly UploadId: string | undefined;
  /** Whether the server keeps checksums of this upload: one that does not refuses to be told them. */
  readonly hasChecksums: boolean;
}

async function putParts(
  { client, signal }: UploadJob,
  file: UploadFile,
  { hasChecksums, ...target }: PartsTarget,
): Promise<void> {
  const { CompleteMultipartUploadCommand, UploadPartCommand } = await import("@aws-sdk/client-s3");
  const partBytes = partBytesOf(file.size);
  const numbers = Array.from({ length: Math.ceil(file.size / partBytes) }, (_, index) => index + 1);
  const parts: CompletedPart[] = [];
  const handle = await open(file.path);
  try {
    await forEachParallel(numbers, PARALLEL_LARGE, async (PartNumber) => {
      const from = (PartNumber - 1) * partBytes;
      const Body = await readExactly(handle, file, { from, size: Math.min(partBytes, file.size - from) });
      const answer = await client.send(new UploadPartCommand({ ...target, PartNumber, Body }), { abortSignal: signal });
      const { ETag, ChecksumCRC32 } = answer;
      const checksum = hasChecksums && ChecksumCRC32 !== undefined ? { ChecksumCRC32 } : {};
      parts.push({ PartNumber, ETag, ...checksum });
    });
  } finally {
    await handle.close();
  }
  const Parts = parts.sort((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0));
  await client.send(new CompleteMultipartUploadCommand({ ...target, MultipartUpload: { Parts } }));
}

async function readExactly(
  handle: FileHandle,
  file: UploadFile,
  range: { readonly from: number; readonly size: number },
): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(range.size);
  let filled = 0;
  while (filled < range.size) {
    const { bytesRead } = await handle.read(buffer, filled, range.size - filled, range.from + filled);
    if (bytesRead === 0) {
      throw new OperationFailedError(`${file.path} became shorter while it was uploaded.`, {
        hint: "Repeat the command when nothing writes to it.",
      });
    }
    filled += bytesRead;
  }
  return buffer;
}
