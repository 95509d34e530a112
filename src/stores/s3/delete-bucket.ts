import type { S3Client, _Error as S3Failure } from "@aws-sdk/client-s3";
import { systemClock } from "../../shared/clock.ts";
import { PermissionDeniedError, StorageBucketDeleteError } from "../../shared/errors.ts";
import { forEachParallel } from "../../shared/parallel.ts";
import { nameOf, statusOf } from "./errors.ts";
import type { StoreKind } from "./kind.ts";
import { abortUploads } from "./abort-uploads.ts";
import { listCurrent, listEverything, type ObjectName } from "./list-names.ts";

/** How often a bucket is emptied that is not empty right after. */
const MAX_ROUNDS = 4;
/** How often objects are asked for again that the server is too busy to remove, with longer and longer pauses: a minute. */
const MAX_BUSY_TRIES = 15;
const BUSY_MS = 500;
const PARALLEL_SINGLE = 16;

/** Answers for a single object that do not last; the SDK repeats calls that are answered so as a whole. */
const BUSY: ReadonlySet<string | undefined> = new Set(["SlowDown", "InternalError", "ServiceUnavailable"]);

/** What XML cannot hold, or does not keep: https://www.w3.org/TR/xml/#charsets */
const NOT_XML = /[\p{Cc}\p{Cs}\uFFFE\uFFFF]/u;

interface Deletion {
  readonly kind: Pick<StoreKind, "hasExtras" | "displayName" | "deletionHint">;
  readonly signal: AbortSignal;
}

/** Empties a bucket, every version and unfinished upload included, and removes it. Stops at the signal, with what is left in place. */
export async function deleteBucket(client: S3Client, bucket: string, deletion: Deletion): Promise<"deleted" | "gone"> {
  const { DeleteBucketCommand } = await import("@aws-sdk/client-s3");
  for (let round = 1; ; round += 1) {
    try {
      await emptyBucket({ client, bucket, isEncoded: round > 1, ...deletion });
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

interface Emptying extends Deletion {
  readonly client: S3Client;
  readonly bucket: string;
  /** Whether names are asked for in an encoding that holds all of them, where the server knows one. */
  readonly isEncoded: boolean;
}

async function emptyBucket(emptying: Emptying): Promise<void> {
  const { client, bucket, kind, signal } = emptying;
  await abortUploads(client, bucket, signal);
  for await (const page of (kind.hasExtras ? listEverything : listCurrent)(emptying)) {
    await removeTogether(
      page.filter(({ Key }) => !NOT_XML.test(Key)),
      emptying,
    );
    const single = page.filter(({ Key }) => NOT_XML.test(Key));
    await forEachParallel(single, PARALLEL_SINGLE, (name) => removeOne(name, emptying));
  }
}

/** Removes at most 1,000 objects by one call, which is repeated for those that the server was too busy for. */
async function removeTogether(names: readonly ObjectName[], { client, bucket, kind, signal }: Emptying): Promise<void> {
  const { DeleteObjectsCommand } = await import("@aws-sdk/client-s3");
  let left = names;
  for (let attempt = 1; left.length > 0; attempt += 1) {
    const command = new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: [...left], Quiet: true } });
    const { Errors: failures = [] } = await client.send(command, { abortSignal: signal });
    const failed = failures.find(({ Code }) => attempt === MAX_BUSY_TRIES || !BUSY.has(Code));
    if (failed !== undefined) throw deletionRefused(bucket, failed, kind);
    left = failures.flatMap(({ Key, VersionId }) =>
      Key === undefined ? [] : [{ Key, ...(VersionId === undefined ? {} : { VersionId }) }],
    );
    if (left.length > 0) await systemClock.sleep(BUSY_MS * attempt, { signal });
  }
}

/** Removes what no list of names can hold. */
async function removeOne(name: ObjectName, { client, bucket, signal }: Emptying): Promise<void> {
  const { DeleteObjectCommand } = await import("@aws-sdk/client-s3");
  try {
    await client.send(new DeleteObjectCommand({ Bucket: bucket, ...name }), { abortSignal: signal });
  } catch (error) {
    // Somebody else has removed it meanwhile.
    if (statusOf(error) !== 404 || nameOf(error) === "NoSuchBucket") throw error;
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
