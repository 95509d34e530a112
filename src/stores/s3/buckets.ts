import type { BucketLocationConstraint, LifecycleRule, S3Client } from "@aws-sdk/client-s3";
import type { BucketState, BucketWish, ObjectPlace } from "../../core/ports/object-store.ts";
import { systemClock } from "../../shared/clock.ts";
import { PermissionDeniedError, SkyError, StorageBucketCreateError } from "../../shared/errors.ts";
import type { StoreKind } from "./kind.ts";
import { headerOf, isRefusal, nameOf, statusOf } from "./errors.ts";

/** Longer than any upload takes. */
const UPLOAD_DAYS = 7;
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
      if (!isOwn) throw asRefusal(error);
    }
  });
  wish.onMade?.();
  if (!hasExtras) return;
  for (const set of [closeToPublic, endBrokenUploads, setTags])
    await unlessBusy(wish.signal, () => set(client, bucket, wish.labels));
}

/** What S3 answers to a call that it does not carry out is a refusal, of which the bucket's user hears; anything else may have made it. */
function asRefusal(error: unknown): unknown {
  const status = statusOf(error) ?? 0;
  const isAnswered = status >= 400 && status < 500 && nameOf(error) !== "OperationAborted";
  if (error instanceof SkyError || !isAnswered) return error;
  const { message } = error as Error;
  return new StorageBucketCreateError(`${nameOf(error) ?? ""}: ${message}`, { cause: error });
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

async function setTags(client: S3Client, bucket: string, labels: Readonly<Record<string, string>>): Promise<void> {
  const tags = Object.entries(labels).map(([Key, Value]) => ({ Key, Value }));
  if (tags.length === 0) return;
  const { PutBucketTaggingCommand } = await import("@aws-sdk/client-s3");
  await unlessRefused(client.send(new PutBucketTaggingCommand({ Bucket: bucket, Tagging: { TagSet: tags } })));
}
