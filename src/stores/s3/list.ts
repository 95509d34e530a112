import type { S3Client } from "@aws-sdk/client-s3";
import type { ObjectPlace, StoredObject } from "../../core/ports/object-store.ts";

/** Every object of the place: the one with exactly the prefix as its key, and those below `prefix/`. */
export async function* listObjects(
  client: S3Client,
  place: ObjectPlace,
  signal: AbortSignal,
): AsyncGenerator<StoredObject> {
  const { paginateListObjectsV2 } = await import("@aws-sdk/client-s3");
  const input = { Bucket: place.bucket, ...(place.prefix === "" ? {} : { Prefix: place.prefix }) };
  for await (const page of paginateListObjectsV2({ client }, input, { abortSignal: signal })) {
    for (const { Key, Size, LastModified, ETag } of page.Contents ?? []) {
      if (Key === undefined || !isInside(Key, place.prefix)) continue;
      yield {
        key: Key,
        size: Size ?? 0,
        modifiedMs: LastModified?.getTime() ?? 0,
        etag: (ETag ?? "").replaceAll('"', ""),
      };
    }
  }
}

/** `data` also lists `database`, which is not meant. */
function isInside(key: string, prefix: string): boolean {
  return prefix === "" || key === prefix || key.startsWith(`${prefix}/`);
}
