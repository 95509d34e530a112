import type { CompletedPart, S3Client } from "@aws-sdk/client-s3";
import type { ObjectPlace, UploadFile } from "../../core/ports/object-store.ts";
import { forEachParallel } from "../../shared/parallel.ts";
import { Buffers } from "./buffers.ts";
import { readRange } from "./file-range.ts";
import { unquoted } from "./list.ts";
import type { Seal } from "./seal.ts";
import { tryRawPut, type RawPuts } from "./raw-put.ts";

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
  readonly signal: AbortSignal;
}

/** How long the parts of a file of this size are. */
export function partBytesOf(size: number): number {
  return Math.max(SINGLE_BYTES, Math.ceil(size / MAX_PARTS));
}

/** Resolves with the object's ETag. An upload that fails is taken back, so that no parts stay behind that cost money. */
export async function putInParts(job: PutJob, file: UploadFile, key: string): Promise<string> {
  const { AbortMultipartUploadCommand, CreateMultipartUploadCommand } = await import("@aws-sdk/client-s3");
  const { client, place, raw, signal } = job;
  const target = { Bucket: place.bucket, Key: key };
  const checksums = raw.hasChecksums ? { ChecksumAlgorithm: "CRC32" as const } : {};
  const create = new CreateMultipartUploadCommand({ ...target, ...checksums });
  const { UploadId, ChecksumAlgorithm } = await client.send(create, { abortSignal: signal });
  try {
    return await putParts(job, file, {
      ...target,
      UploadId: UploadId ?? "",
      hasChecksums: ChecksumAlgorithm === "CRC32",
    });
  } catch (error) {
    // The reason of the failure is what counts; parts that stay are removed with the bucket, or by its own rules.
    await client.send(new AbortMultipartUploadCommand({ ...target, UploadId })).catch(() => undefined);
    throw error;
  }
}

interface PartsTarget {
  readonly Bucket: string;
  readonly Key: string;
  readonly UploadId: string;
  /** Whether the server keeps checksums of this upload: one that does not refuses to be told them. */
  readonly hasChecksums: boolean;
}

async function putParts(job: PutJob, file: UploadFile, { hasChecksums, ...target }: PartsTarget): Promise<string> {
  const { CompleteMultipartUploadCommand } = await import("@aws-sdk/client-s3");
  const partBytes = partBytesOf(file.size);
  const numbers = Array.from({ length: Math.ceil(file.size / partBytes) }, (_, index) => index + 1);
  const parts: CompletedPart[] = [];
  // Parts of files beyond 80 GB are larger: fewer of them are under way.
  const parallel = Math.max(1, Math.floor((PARALLEL_LARGE * SINGLE_BYTES) / partBytes));
  const buffers = partBytes === SINGLE_BYTES ? job.buffers : new Buffers(partBytes);
  await forEachParallel(numbers, parallel, async (PartNumber) => {
    const from = (PartNumber - 1) * partBytes;
    const { ETag, ChecksumCRC32 } = await buffers.with(Math.min(partBytes, file.size - from), async (buffer) => {
      const seal = job.raw.newSeal();
      const Body = await readRange(file, { from, buffer, onRead: (piece) => seal.add(piece) });
      return putPart(job, { ...target, PartNumber, Body }, seal);
    });
    const checksum = hasChecksums && ChecksumCRC32 !== undefined ? { ChecksumCRC32 } : {};
    parts.push({ PartNumber, ETag, ...checksum });
  });
  const Parts = parts.sort((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0));
  const complete = new CompleteMultipartUploadCommand({ ...target, MultipartUpload: { Parts } });
  return unquoted((await job.client.send(complete)).ETag);
}

async function putPart(
  { client, raw, signal }: PutJob,
  part: {
    readonly Bucket: string;
    readonly Key: string;
    readonly UploadId: string;
    readonly PartNumber: number;
    readonly Body: Buffer<ArrayBuffer>;
  },
  seal: Seal,
): Promise<Pick<CompletedPart, "ETag" | "ChecksumCRC32">> {
  const { UploadPartCommand } = await import("@aws-sdk/client-s3");
  const query = { partNumber: String(part.PartNumber), uploadId: part.UploadId };
  const stored = await tryRawPut(raw, { key: part.Key, body: part.Body, seal, query }, signal);
  return stored ?? client.send(new UploadPartCommand(part), { abortSignal: signal });
}
