import type { S3Client, _Object as S3Object } from "@aws-sdk/client-s3";
import type { ObjectPlace, StoredObject } from "../../core/ports/object-store.ts";
import { PermissionDeniedError } from "../../shared/errors.ts";
import { statusOf } from "./errors.ts";

/** Public objects may be in a bucket that nobody but its owner may list: then the prefix can only be a key. */
export async function* listPublic(
  client: S3Client,
  place: ObjectPlace,
  signal: AbortSignal,
): AsyncGenerator<StoredObject> {
  try {
    yield* listObjects(client, place, signal);
  } catch (error) {
    if (!(error instanceof PermissionDeniedError) || place.prefix === "") throw error;
    const object = await findObject(client, place, signal);
    if (object === undefined) throw error;
    yield object;
  }
}

async function findObject(
  client: S3Client,
  place: ObjectPlace,
  signal: AbortSignal,
): Promise<StoredObject | undefined> {
  const { HeadObjectCommand } = await import("@aws-sdk/client-s3");
  const command = new HeadObjectCommand({ Bucket: place.bucket, Key: place.prefix });
  try {
    const { ContentLength, LastModified, ETag } = await client.send(command, { abortSignal: signal });
    return toObject({ Key: place.prefix, Size: ContentLength, LastModified, ETag });
  } catch (error) {
    if (statusOf(error) === 404 || error instanceof PermissionDeniedError) return undefined;
    throw error;
  }
}

function toObject({ Key = "", Size, LastModified, ETag }: S3Object): StoredObject {
  return {
    key: Key,
    size: Size ?? 0,
    modifiedMs: LastModified?.getTime() ?? 0,
    etag: unquoted(ETag),
  };
}

/** An ETag as it is compared. */
export function unquoted(etag = ""): string {
  return etag.replaceAll('"', "");
}

/**
 * Every object of the place: the one with exactly the prefix as its key, and those below `prefix/`. Asked for in two calls, so that
 * `data` does not go through all of `database`.
 */
export async function* listObjects(
  client: S3Client,
  place: ObjectPlace,
  signal: AbortSignal,
): AsyncGenerator<StoredObject> {
  const { ListObjectsV2Command, paginateListObjectsV2 } = await import("@aws-sdk/client-s3");
  const { bucket, prefix } = place;
  if (prefix !== "") {
    const command = new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, MaxKeys: 1 });
    // Of all keys that begin so, it is the first.
    const [first] = (await client.send(command, { abortSignal: signal })).Contents ?? [];
    if (first?.Key === prefix) yield toObject(first);
  }
  const input = { Bucket: bucket, ...(prefix === "" ? {} : { Prefix: `${prefix}/` }) };
  for await (const page of paginateListObjectsV2({ client }, input, { abortSignal: signal })) {
    for (const object of page.Contents ?? []) if (object.Key !== undefined) yield toObject(object);
  }
}
