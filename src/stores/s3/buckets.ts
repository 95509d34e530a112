import type { BucketLocationConstraint, LifecycleRule, S3Client, _Error as S3Failure } from "@aws-sdk/client-s3";
import type { BucketState, BucketWish, ObjectPlace } from "../../core/ports/object-store.ts";
import { systemClock } from "../../shared/clock.ts";
import { PermissionDeniedError, StorageBucketDeleteError } from "../../shared/errors.ts";
import { forEachParallel } from "../../shared/parallel.ts";
import type { StoreKind } from "./kind.ts";
import { headerOf, isNotImplemented, nameOf, statusOf } from "./errors.ts";

const PARALLEL_ABORTS = 16;
/** Longer than any upload takes. */
const UPLOAD_DAYS = 7;
/** How often a bucket is emptied that is not empty right after. */
const MAX_ROUNDS = 4;
/** How long a bucket is waited for that somebody else is at work on: ten seconds. */
const MAX_BUSY_TRIES = 20;
const BUSY_MS = 500;
/** The one region that a bucket must not name when it is made. */
const HOME_REGION = "us-east-1";

/** A bucket, and where it is. */
type Seen = { readonly kind: "missing" } | { readonly kind: "exists" | "forbidden"; readonly region: string };

/** Looks a bucket up by HeadBucket, whose answer names the region also when it refuses; where it does not, it is the client's. */
async function lookUp(client: S3Client, bucket: string): Promise<Seen> {
  const { HeadBucketCommand } = await import("@aws-sdk/client-s3");
  const own = await client.config.region();
  try {
    const answer = await client.send(new HeadBucketCommand({ Bucket: bucket }));
    return { kind: "exists", region: answer.BucketRegion ?? own };
  } catch (error) {
    if (statusOf(error) === 404) return { kind: "missing" };
    const refused = error instanceof PermissionDeniedError ? error.cause : error;
    if (refused === error && statusOf(error) !== 403) throw error;
    return { kind: "forbidden", region: headerOf(refused, "x-amz-bucket-region") ?? own };
  }
}

/** Finds a bucket, also by a part of it: who may list only that is refused the bucket itself. */
export async function findPlace(client: S3Client, place: Pick<ObjectPlace, "bucket" | "prefix">): Promise<BucketState> {
  const seen = await lookUp(client, place.bucket);
  if (seen.kind !== "forbidden") return seen;
  if (place.prefix === "") return { kind: "forbidden" };
  const { ListObjectsV2Command } = await import("@aws-sdk/client-s3");
  try {
    await client.send(new ListObjectsV2Command({ Bucket: place.bucket, Prefix: place.prefix, MaxKeys: 1 }));
    return { kind: "exists", region: seen.region };
  } catch (error) {
    if (error instanceof PermissionDeniedError) return { kind: "forbidden" };
    throw error;
  }
}

/** The same without credentials, where a refusal tells nothing: what the public may list or read are two things. */
export async function findPublicBucket(client: S3Client, bucket: string): Promise<BucketState> {
  const seen = await lookUp(client, bucket);
  return seen.kind === "forbidden" ? { kind: "exists", region: seen.region } : seen;
}

interface NewBucket extends BucketWish {
  /** Whether all buckets of the server are in one place, which none may name. */
  readonly isOnlyRegion: boolean;
  readonly signal: AbortSignal;
}

/** Creates a bucket that the public cannot reach, or makes one so that the account has already. */
export async function createBucket(
  client: S3Client,
  bucket: string,
  wish: NewBucket,
  { hasExtras, hasOwnNames }: Pick<StoreKind, "hasExtras" | "hasOwnNames">,
): Promise<void> {
  const { CreateBucketCommand } = await import("@aws-sdk/client-s3");
  const place =
    wish.region === HOME_REGION || wish.isOnlyRegion
      ? {}
      : { CreateBucketConfiguration: { LocationConstraint: wish.region as BucketLocationConstraint } };
  await unlessBusy(wish.signal, async () => {
    try {
      await client.send(new CreateBucketCommand({ Bucket: bucket, ...place }));
    } catch (error) {
      const isOwn = nameOf(error) === "BucketAlreadyOwnedByYou" || (hasOwnNames && statusOf(error) === 409);
      if (!isOwn) throw error;
    }
  });
  wish.onMade?.();
  if (!hasExtras) return;
  for (const set of [closeToPublic, endBrokenUploads, setTags])
    await unlessBusy(wish.signal, () => set(client, bucket, wish.labels));
}

/** S3 refuses whoever comes while somebody else makes or sets up the same bucket, which is over soon. */
async function unlessBusy(signal: AbortSignal, call: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await call();
      return;
    } catch (error) {
      if (nameOf(error) !== "OperationAborted" || attempt === MAX_BUSY_TRIES) throw error;
      await systemClock.sleep(BUSY_MS, { signal });
    }
  }
}

/** S3 closes new buckets by itself; saying so once more needs a right that the caller may lack. */
async function closeToPublic(client: S3Client, bucket: string): Promise<void> {
  const { PutPublicAccessBlockCommand } = await import("@aws-sdk/client-s3");
  const all = { BlockPublicAcls: true, IgnorePublicAcls: true, BlockPublicPolicy: true, RestrictPublicBuckets: true };
  await unlessRefused(
    client.send(new PutPublicAccessBlockCommand({ Bucket: bucket, PublicAccessBlockConfiguration: all })),
  );
}

/** Whoever uploads may die at any time, and parts that are never put together cost money for ever. */
async function endBrokenUploads(client: S3Client, bucket: string): Promise<void> {
  const { PutBucketLifecycleConfigurationCommand } = await import("@aws-sdk/client-s3");
  const rule: LifecycleRule = {
    ID: "end-broken-uploads",
    Status: "Enabled",
    Filter: { Prefix: "" },
    AbortIncompleteMultipartUpload: { DaysAfterInitiation: UPLOAD_DAYS },
  };
  const LifecycleConfiguration = { Rules: [rule] };
  await unlessRefused(
    client.send(new PutBucketLifecycleConfigurationCommand({ Bucket: bucket, LifecycleConfiguration })),
  );
}

/** For what a bucket can do without: the bucket is there by then, and a refusal must not make it look as if it were not. */
async function unlessRefused(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!isRefusal(error)) throw error;
  }
}

/** Whether the caller may not do it, or the server cannot: many servers other than AWS's own know neither tags, closing nor versions. */
function isRefusal(error: unknown): boolean {
  return error instanceof PermissionDeniedError || isNotImplemented(error);
}

async function setTags(client: S3Client, bucket: string, labels: Readonly<Record<string, string>>): Promise<void> {
  const tags = Object.entries(labels).map(([Key, Value]) => ({ Key, Value }));
  if (tags.length === 0) return;
  const { PutBucketTaggingCommand } = await import("@aws-sdk/client-s3");
  await unlessRefused(client.send(new PutBucketTaggingCommand({ Bucket: bucket, Tagging: { TagSet: tags } })));
}

interface ObjectName {
  readonly Key: string;
  readonly VersionId?: string;
}

interface Deletion {
  readonly kind: Pick<StoreKind, "hasExtras" | "displayName" | "deletionHint">;
  readonly signal: AbortSignal;
}

/** Empties a bucket, every version and unfinished upload included, and removes it. Stops at the signal, with what is left in place. */
export async function deleteBucket(client: S3Client, bucket: string, deletion: Deletion): Promise<"deleted" | "gone"> {
  const { DeleteBucketCommand } = await import("@aws-sdk/client-s3");
  for (let round = 1; ; round += 1) {
    try {
      await emptyBucket(client, bucket, deletion);
      await client.send(new DeleteBucketCommand({ Bucket: bucket }), { abortSignal: deletion.signal });
      return "deleted";
    } catch (error) {
      if (nameOf(error) === "NoSuchBucket" || statusOf(error) === 404) return "gone";
      // Somebody may write to it meanwhile.
      if (nameOf(error) !== "BucketNotEmpty") throw error;
      if (round === MAX_ROUNDS) throw notEmpty(bucket, deletion.kind, error);
    }
  }
}

function notEmpty(bucket: string, { hasExtras, deletionHint }: Deletion["kind"], cause: unknown): Error {
  const reason = hasExtras ? "It has old versions that these credentials may not list, or something" : "Something";
  return new StorageBucketDeleteError(`It is not empty after it was emptied ${MAX_ROUNDS} times.`, {
    cause,
    hint: `${reason} writes to it. ${hasExtras ? `${deletionHint} ` : ""}Then repeat: sky storage delete ${bucket}`,
  });
}

async function emptyBucket(client: S3Client, bucket: string, { kind, signal }: Deletion): Promise<void> {
  const { DeleteObjectsCommand } = await import("@aws-sdk/client-s3");
  await abortUploads(client, bucket, signal);
  for await (const page of (kind.hasExtras ? listEverything : listCurrent)(client, bucket, signal)) {
    if (page.length === 0) continue;
    const command = new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: [...page], Quiet: true } });
    const answer = await client.send(command, { abortSignal: signal });
    const [failed] = answer.Errors ?? [];
    if (failed !== undefined) throw deletionRefused(bucket, failed, kind);
  }
}

/** Refusals of single objects come in the answer of a call that went well. */
function deletionRefused(
  bucket: string,
  { Key, VersionId, Code, Message }: S3Failure,
  { displayName, deletionHint }: Deletion["kind"],
): Error {
  const what = `${Key ?? ""} of bucket ${bucket}`;
  if (Code !== "AccessDenied") return new Error(`${what}: ${Code ?? ""} ${Message ?? ""}`);
  const action = VersionId === undefined ? "s3:DeleteObject" : "s3:DeleteObjectVersion";
  return new PermissionDeniedError(`${displayName} refused ${action} on ${what}.`, { hint: deletionHint });
}

/** Pages of at most 1,000 names, as many as one delete call takes. Every version where the caller may list them, else what is current. */
async function* listEverything(
  client: S3Client,
  bucket: string,
  signal: AbortSignal,
): AsyncGenerator<readonly ObjectName[]> {
  const { ListObjectVersionsCommand } = await import("@aws-sdk/client-s3");
  let marker: { KeyMarker?: string; VersionIdMarker?: string } = {};
  for (;;) {
    let page;
    try {
      page = await client.send(new ListObjectVersionsCommand({ Bucket: bucket, ...marker }), { abortSignal: signal });
    } catch (error) {
      if (!isRefusal(error)) throw error;
      yield* listCurrent(client, bucket, signal);
      return;
    }
    yield [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])].flatMap(({ Key, VersionId }) =>
      Key === undefined ? [] : [{ Key, ...(VersionId === undefined ? {} : { VersionId }) }],
    );
    if (page.IsTruncated !== true) return;
    marker = {
      ...(page.NextKeyMarker === undefined ? {} : { KeyMarker: page.NextKeyMarker }),
      ...(page.NextVersionIdMarker === undefined ? {} : { VersionIdMarker: page.NextVersionIdMarker }),
    };
  }
}

async function* listCurrent(
  client: S3Client,
  bucket: string,
  signal: AbortSignal,
): AsyncGenerator<readonly ObjectName[]> {
  const { paginateListObjectsV2 } = await import("@aws-sdk/client-s3");
  for await (const page of paginateListObjectsV2({ client }, { Bucket: bucket }, { abortSignal: signal })) {
    yield (page.Contents ?? []).flatMap(({ Key }) => (Key === undefined ? [] : [{ Key }]));
  }
}

async function abortUploads(client: S3Client, bucket: string, signal: AbortSignal): Promise<void> {
  const { AbortMultipartUploadCommand } = await import("@aws-sdk/client-s3");
  try {
    for await (const page of listUploads(client, bucket, signal)) {
      await forEachParallel(page, PARALLEL_ABORTS, async (upload) => {
        const command = new AbortMultipartUploadCommand({ Bucket: bucket, ...upload });
        await client.send(command, { abortSignal: signal }).catch((error: unknown) => {
          // It was finished or given up meanwhile.
          if (nameOf(error) !== "NoSuchUpload") throw error;
        });
      });
    }
  } catch (error) {
    // Without the right to do so they go with the bucket.
    if (!isRefusal(error)) throw error;
  }
}

interface Upload {
  readonly Key: string;
  readonly UploadId: string;
}

/** Pages of at most 1,000 uploads that were begun and not finished. */
async function* listUploads(client: S3Client, bucket: string, signal: AbortSignal): AsyncGenerator<readonly Upload[]> {
  const { ListMultipartUploadsCommand } = await import("@aws-sdk/client-s3");
  let marker: { KeyMarker?: string; UploadIdMarker?: string } = {};
  for (;;) {
    const page = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket, ...marker }), {
      abortSignal: signal,
    });
    yield (page.Uploads ?? []).flatMap(({ Key, UploadId }) =>
      Key === undefined || UploadId === undefined ? [] : [{ Key, UploadId }],
    );
    if (page.IsTruncated !== true || page.NextKeyMarker === undefined) return;
    const { NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = page;
    marker = { KeyMarker, ...(UploadIdMarker === undefined ? {} : { UploadIdMarker }) };
  }
}
