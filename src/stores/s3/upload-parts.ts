import type { CompletedPart, S3Client } from "@aws-sdk/client-s3";
import type { ObjectPlace, UploadFile } from "../../core/ports/object-store.ts";
import { forEachParallel } from "../../shared/parallel.ts";
import { Buffers } from "./buffers.ts";
import { readRange } from "./file-range.ts";
import { unquoted } from "./list.ts";
import { openUpload, orTakeBack, type OpenUpload } from "./open-upload.ts";
import { tryRawPut, type RawPuts } from "./raw-put.ts";
import type { Seal } from "./seal.ts";
import { SentPart } from "./sent-part.ts";
import type { UnfinishedUploads } from "./unfinished-uploads.ts";

/** Files up to this size go in one call, larger ones in parts of it. */
export const SINGLE_BYTES = 8 * 1024 * 1024;
/** Of content that is larger than a small file; what is under way holds 32 MiB at most. */
export const PARALLEL_LARGE = 4;
/** S3 takes at most this many parts of an object. */
const MAX_PARTS = 10_000;

export interface PutJob {
  readonly client: S3Client;
  readonly place: ObjectPlace;
  readonly raw: RawPuts;
  /** Of `SINGLE_BYTES` each. */
  readonly buffers: Buffers;
  readonly unfinished: UnfinishedUploads;
  readonly signal: AbortSignal;
}

/** How long the parts of a file of this size are. */
export function partBytesOf(size: number): number {
  return Math.max(SINGLE_BYTES, Math.ceil(size / MAX_PARTS));
}

/** Resolves with the object's ETag. Goes on with an upload of this server that was cut off. */
export function putInParts(job: PutJob, file: UploadFile, key: string): Promise<string> {
  const { client, place, raw, signal, unfinished } = job;
  return unfinished.with(raw.urlOf(key), async (memory) => {
    const at = { Bucket: place.bucket, Key: key };
    const wish = { client, file, at, hasChecksums: raw.hasChecksums, memory, signal };
    const upload = await openUpload(wish);
    const etag = await orTakeBack(wish, upload.target, () => putParts(job, file, upload));
    memory.forget();
    return etag;
  });
}

async function putParts(job: PutJob, file: UploadFile, upload: OpenUpload): Promise<string> {
  const { CompleteMultipartUploadCommand } = await import("@aws-sdk/client-s3");
  const { target, hasChecksums } = upload;
  const partBytes = partBytesOf(file.size);
  const numbers = Array.from({ length: Math.ceil(file.size / partBytes) }, (_, index) => index + 1);
  const parts: CompletedPart[] = [];
  // Parts of files beyond 80 GB are larger: fewer of them are under way.
  const parallel = Math.max(1, Math.floor((PARALLEL_LARGE * SINGLE_BYTES) / partBytes));
  const buffers = partBytes === SINGLE_BYTES ? job.buffers : new Buffers(partBytes);
  await forEachParallel(numbers, parallel, async (PartNumber) => {
    const from = (PartNumber - 1) * partBytes;
    const { ETag, ChecksumCRC32 } = await buffers.with(Math.min(partBytes, file.size - from), (buffer) =>
      putPart(job, file, { ...upload, PartNumber, from, buffer }),
    );
    const checksum = hasChecksums && ChecksumCRC32 !== undefined ? { ChecksumCRC32 } : {};
    parts.push({ PartNumber, ETag, ...checksum });
  });
  const Parts = parts.sort((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0));
  const complete = new CompleteMultipartUploadCommand({ ...target, MultipartUpload: { Parts } });
  return unquoted((await job.client.send(complete)).ETag);
}

interface PartRange extends OpenUpload {
  readonly PartNumber: number;
  readonly from: number;
  /** Of the part's size. */
  readonly buffer: Buffer<ArrayBuffer>;
}

/** Sends a part, unless the server has it. */
async function putPart(
  { client, raw, signal }: PutJob,
  file: UploadFile,
  { target, sent, PartNumber, from, buffer }: PartRange,
): Promise<Pick<CompletedPart, "ETag" | "ChecksumCRC32">> {
  const { UploadPartCommand } = await import("@aws-sdk/client-s3");
  const seal = raw.newSeal();
  const there = sent.get(PartNumber);
  const known = there?.Size === buffer.length ? new SentPart(there) : undefined;
  const onRead = (piece: Buffer): void => {
    seal.add(piece);
    known?.add(piece);
  };
  const Body = await readRange(file, { from, buffer, onRead });
  signal.throwIfAborted();
  if (known?.isSame() === true) return { ETag: there?.ETag, ...sumOf(seal) };
  const query = { partNumber: String(PartNumber), uploadId: target.UploadId };
  const stored = await tryRawPut(raw, { key: target.Key, body: Body, seal, query }, signal);
  return stored ?? client.send(new UploadPartCommand({ ...target, PartNumber, Body }), { abortSignal: signal });
}

function sumOf(seal: Seal): Pick<CompletedPart, "ChecksumCRC32"> {
  const { ChecksumCRC32 } = seal.close();
  return ChecksumCRC32 === undefined ? {} : { ChecksumCRC32 };
}
