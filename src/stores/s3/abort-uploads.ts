import type { S3Client } from "@aws-sdk/client-s3";
import { forEachParallel } from "../../shared/parallel.ts";
import { isRefusal, nameOf } from "./errors.ts";

const PARALLEL_ABORTS = 16;

/** Gives up what was begun to be sent in parts and not finished: its parts take room that no list of objects shows. */
export async function abortUploads(client: S3Client, bucket: string, signal: AbortSignal): Promise<void> {
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
