import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import type { S3Client } from "@aws-sdk/client-s3";
import type { ObjectPlace, StoredObject, UploadFile, UploadProgress } from "../../core/ports/object-store.ts";
import { forEachParallel } from "../../shared/parallel.ts";
import { Buffers } from "./buffers.ts";
import { readRange } from "./file-range.ts";
import type { KnownEtags } from "./known-etags.ts";
import { listObjects, unquoted } from "./list.ts";
import { openRawPuts, tryRawPut } from "./raw-put.ts";
import { PARALLEL_LARGE, partBytesOf, putInParts, SINGLE_BYTES, type PutJob } from "./upload-parts.ts";
import type { UnfinishedUploads } from "./unfinished-uploads.ts";

const MIB = 1024 * 1024;
/** Files up to this size are small: many of them are under way at a time. */
const SMALL_BYTES = MIB / 2;
const PARALLEL_SMALL = 32;
/** By how much our clock may be off, beyond what the client has learnt of it. */
const MAX_SKEW_MS = 15 * 60_000;

export interface UploadJob {
  readonly client: S3Client;
  readonly place: ObjectPlace;
  readonly files: readonly UploadFile[];
  readonly known: KnownEtags;
  readonly unfinished: UnfinishedUploads;
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
  const send = async (file: UploadFile, put: (file: UploadFile, key: string) => Promise<string>): Promise<void> => {
    job.signal.throwIfAborted();
    const key = keyOf(job.place, file);
    const object = there.get(key);
    const isUnchanged = object !== undefined && (await isSame(file, object, job));
    if (!isUnchanged) await learn(file, job.known, () => put(file, key));
    count(file, isUnchanged);
  };
  const sized = (from: number, to: number): readonly UploadFile[] =>
    job.files.filter(({ size }) => size > from && size <= to);
  const raw = await openRawPuts(job.client, job.place.bucket);
  const buffers = new Buffers(SINGLE_BYTES);
  const put = { ...job, raw, buffers };
  const putSmall = (file: UploadFile, key: string): Promise<string> =>
    putWhole(put, { file, key, buffer: Buffer.allocUnsafe(file.size) });
  const putLarge = (file: UploadFile, key: string): Promise<string> =>
    buffers.with(file.size, (buffer) => putWhole(put, { file, key, buffer }));
  await forEachParallel(sized(-1, SMALL_BYTES), PARALLEL_SMALL, (file) => send(file, putSmall));
  await forEachParallel(sized(SMALL_BYTES, SINGLE_BYTES), PARALLEL_LARGE, (file) => send(file, putLarge));
  for (const file of sized(SINGLE_BYTES, Infinity)) await send(file, (one, key) => putInParts(put, one, key));
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

async function isSame(file: UploadFile, object: StoredObject, { client, known }: UploadJob): Promise<boolean> {
  if (file.size !== object.size) return false;
  // Our clock and the store's differ: a file that is written after its object may seem older.
  const offsetMs = client.config.systemClockOffset;
  if (file.mtimeMs + offsetMs + MAX_SKEW_MS < object.modifiedMs) return true;
  if (isRemembered(file) && known.get(file.path) === object.etag) return true;
  return (await learn(file, known, () => etagOf(file))) === object.etag;
}

/** Hashing a smaller file takes as long as remembering it. */
function isRemembered({ size }: UploadFile): boolean {
  return size > SMALL_BYTES;
}

function learn(file: UploadFile, known: KnownEtags, read: () => Promise<string>): Promise<string | undefined> {
  return isRemembered(file) ? known.learn(file.path, read) : read();
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

interface Whole {
  readonly file: UploadFile;
  readonly key: string;
  /** Of the file's size. */
  readonly buffer: Buffer<ArrayBuffer>;
}

/** Resolves with the object's ETag. */
async function putWhole({ client, place, raw, signal }: PutJob, { file, key, buffer }: Whole): Promise<string> {
  const { PutObjectCommand } = await import("@aws-sdk/client-s3");
  const seal = raw.newSeal();
  const body = await readRange(file, { from: 0, buffer, onRead: (piece) => seal.add(piece) });
  const again = { Bucket: place.bucket, Key: key, Body: body };
  const stored =
    (await tryRawPut(raw, { key, body, seal }, signal)) ??
    (await client.send(new PutObjectCommand(again), { abortSignal: signal }));
  return unquoted(stored.ETag);
}
