import type { S3Client } from "@aws-sdk/client-s3";
import { isRefusal } from "./errors.ts";

/** An object of a bucket, or one version of it. */
export interface ObjectName {
  readonly Key: string;
  readonly VersionId?: string;
}

export interface NamesWish {
  readonly client: S3Client;
  readonly bucket: string;
  /** Whether names are asked for in an encoding that holds all of them, where the server knows one. */
  readonly isEncoded: boolean;
  readonly signal: AbortSignal;
}

/** Pages of at most 1,000 names, as many as one delete call takes. Every version where the caller may list them, else what is current. */
export async function* listEverything(wish: NamesWish): AsyncGenerator<readonly ObjectName[]> {
  const { ListObjectVersionsCommand } = await import("@aws-sdk/client-s3");
  const { client, bucket, signal } = wish;
  let marker: { KeyMarker?: string; VersionIdMarker?: string } = {};
  for (;;) {
    let page;
    try {
      const command = new ListObjectVersionsCommand({ Bucket: bucket, ...marker, ...encodingOf(wish) });
      page = await client.send(command, { abortSignal: signal });
    } catch (error) {
      if (!isRefusal(error)) throw error;
      yield* listCurrent(wish);
      return;
    }
    const read = readerOf(page);
    yield [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])].flatMap(({ Key, VersionId }) =>
      Key === undefined ? [] : [{ Key: read(Key), ...(VersionId === undefined ? {} : { VersionId }) }],
    );
    if (page.IsTruncated !== true) return;
    marker = {
      ...(page.NextKeyMarker === undefined ? {} : { KeyMarker: read(page.NextKeyMarker) }),
      ...(page.NextVersionIdMarker === undefined ? {} : { VersionIdMarker: page.NextVersionIdMarker }),
    };
  }
}

/** The same without old versions. */
export async function* listCurrent(wish: NamesWish): AsyncGenerator<readonly ObjectName[]> {
  const { paginateListObjectsV2 } = await import("@aws-sdk/client-s3");
  const { client, bucket, signal } = wish;
  const input = { Bucket: bucket, ...encodingOf(wish) };
  for await (const page of paginateListObjectsV2({ client }, input, { abortSignal: signal })) {
    const read = readerOf(page);
    yield (page.Contents ?? []).flatMap(({ Key }) => (Key === undefined ? [] : [{ Key: read(Key) }]));
  }
}

function encodingOf({ isEncoded }: NamesWish): { readonly EncodingType?: "url" } {
  return isEncoded ? { EncodingType: "url" } : {};
}

/** Servers say whether they have encoded names; as in a form, spaces may be pluses then. */
function readerOf({ EncodingType }: { readonly EncodingType?: string | undefined }): (name: string) => string {
  if (EncodingType !== "url") return (name) => name;
  return (name) => {
    try {
      return decodeURIComponent(name.replaceAll("+", " "));
    } catch {
      // The server has not done what it says.
      return name;
    }
  };
}
