import type { Part, S3Client } from "@aws-sdk/client-s3";
import type { UploadFile } from "../../core/ports/object-store.ts";
import { isNetworkError } from "../../platform/network-error.ts";
import { PermissionDeniedError } from "../../shared/errors.ts";
import { isNotImplemented, nameOf, statusOf } from "./errors.ts";
import type { UnfinishedUpload, UploadMemory } from "./unfinished-uploads.ts";

export interface UploadTarget {
  readonly Bucket: string;
  readonly Key: string;
  readonly UploadId: string;
}

/** An upload in parts, with what was sent of it before. */
export interface OpenUpload {
  readonly target: UploadTarget;
  /** Whether the server keeps checksums of its parts: one that does not refuses to be told them. */
  readonly hasChecksums: boolean;
  /** By number. */
  readonly sent: ReadonlyMap<number, Part>;
}

export interface UploadWish {
  readonly client: S3Client;
  readonly file: UploadFile;
  readonly at: Omit<UploadTarget, "UploadId">;
  /** Whether checksums are sent. */
  readonly hasChecksums: boolean;
  readonly memory: UploadMemory;
  readonly signal: AbortSignal;
}

/** Goes on with the upload that was cut off, if there is one of this very file, else begins one. */
export async function openUpload(wish: UploadWish): Promise<OpenUpload> {
  const earlier = wish.memory.recall();
  return (earlier && (await takeUp(wish, earlier))) ?? begin(wish);
}

/**
 * Does what sends an open upload. It stays open where nobody said no, to be gone on with; else it is taken back, so that no parts stay
 * behind that cost money. Who cancels may never come again.
 */
export async function orTakeBack<T>(wish: UploadWish, target: UploadTarget, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (wish.signal.aborted || !wish.memory.isKept || !isInterruption(error)) await takeBack(wish, target);
    throw error;
  }
}

async function begin(wish: UploadWish): Promise<OpenUpload> {
  const { CreateMultipartUploadCommand } = await import("@aws-sdk/client-s3");
  const { client, file, at, memory, signal } = wish;
  const checksums = wish.hasChecksums ? { ChecksumAlgorithm: "CRC32" as const } : {};
  const command = new CreateMultipartUploadCommand({ ...at, ...checksums });
  const { UploadId: id = "", ChecksumAlgorithm } = await client.send(command, { abortSignal: signal });
  const hasChecksums = ChecksumAlgorithm === "CRC32";
  const target = { ...at, UploadId: id };
  return orTakeBack(wish, target, () => {
    memory.keep({ id, size: file.size, mtimeMs: file.mtimeMs, hasChecksums });
    return Promise.resolve({ target, hasChecksums, sent: new Map<number, Part>() });
  });
}

/** Undefined: it is gone. */
async function takeUp(wish: UploadWish, earlier: UnfinishedUpload): Promise<OpenUpload | undefined> {
  const { file, at } = wish;
  const target = { ...at, UploadId: earlier.id };
  return orTakeBack(wish, target, async () => {
    const isSame = earlier.size === file.size && earlier.mtimeMs === file.mtimeMs;
    const sent = isSame ? await listSent(wish, target) : undefined;
    if (sent !== undefined) return { target, hasChecksums: earlier.hasChecksums, sent };
    await takeBack(wish, target);
    return undefined;
  });
}

/** Undefined where it is not there any more, or may not be looked at. */
async function listSent({ client, signal }: UploadWish, target: UploadTarget): Promise<Map<number, Part> | undefined> {
  const { ListPartsCommand } = await import("@aws-sdk/client-s3");
  const sent = new Map<number, Part>();
  try {
    // The SDK's own paging asks on and on: the last page has a marker, too.
    for (let marker: { PartNumberMarker?: string } = {}; ;) {
      const page = await client.send(new ListPartsCommand({ ...target, ...marker }), { abortSignal: signal });
      for (const part of page.Parts ?? []) sent.set(part.PartNumber ?? 0, part);
      if (page.IsTruncated !== true || page.NextPartNumberMarker === undefined) return sent;
      marker = { PartNumberMarker: page.NextPartNumberMarker };
    }
  } catch (error) {
    if (isGone(error) || isNotImplemented(error) || error instanceof PermissionDeniedError) return undefined;
    throw error;
  }
}

/** What cannot be taken back is remembered; the reason for which it is taken back is what counts. */
async function takeBack({ client, memory }: UploadWish, target: UploadTarget): Promise<void> {
  const { AbortMultipartUploadCommand } = await import("@aws-sdk/client-s3");
  try {
    await client.send(new AbortMultipartUploadCommand(target));
    memory.forget();
  } catch (error) {
    if (isGone(error)) memory.forget();
  }
}

function isGone(error: unknown): boolean {
  return nameOf(error) === "NoSuchUpload" || nameOf(error) === "NoSuchBucket" || statusOf(error) === 404;
}

/** The network broke, or the server was busy. */
function isInterruption(error: unknown): boolean {
  const status = statusOf(error);
  return status === undefined ? isNetworkError(error) : status >= 500;
}
