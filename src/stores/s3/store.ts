import type { S3Client } from "@aws-sdk/client-s3";
import type { CloudContext, ServiceAccess } from "../../core/ports/cloud.ts";
import type { ObjectStore } from "../../core/ports/object-store.ts";
import { createBucket, deleteBucket, findBucket } from "./buckets.ts";
import { openS3 } from "./client.ts";
import { lendKeys } from "./lend.ts";
import { listObjects } from "./list.ts";
import { signReads } from "./sign.ts";
import { uploadFiles } from "./upload.ts";

const HOME_REGION = "us-east-1";

/** Amazon S3 and servers that speak its protocol. `access` finds the keys of a request. */
export function createS3Store(access: (context: CloudContext) => Promise<ServiceAccess>): ObjectStore {
  const open = async (context: CloudContext, region: string): Promise<S3Client> =>
    openS3(await access(context), region);
  /** The bucket's region decides to which endpoint its calls go. */
  const withClient = async <T>(
    context: CloudContext,
    region: string,
    work: (client: S3Client) => Promise<T>,
  ): Promise<T> => {
    const client = await open(context, region);
    try {
      return await work(client);
    } finally {
      client.destroy();
    }
  };
  const find = async (bucket: string, context: CloudContext): ReturnType<ObjectStore["findBucket"]> =>
    withClient(context, homeOf(await access(context)), (client) => findBucket(client, bucket));
  return {
    type: "S3",
    scheme: "s3",
    cloud: "aws",
    defaultRegion: HOME_REGION,
    regionFor: async (nodes, context) => {
      const to = await access(context);
      return nodes.cloud === "aws" && to.isApart !== true ? nodes.region : homeOf(to);
    },
    findBucket: find,
    createBucket: async (bucket, wish, context) => {
      const isOnlyRegion = (await access(context)).isApart === true;
      return withClient(context, wish.region, (client) => createBucket(client, bucket, { ...wish, isOnlyRegion }));
    },
    deleteBucket: async (bucket, context) => {
      const state = await find(bucket, context);
      if (state.kind === "missing") return "gone";
      const region = state.kind === "exists" ? state.region : homeOf(await access(context));
      return withClient(context, region, (client) => deleteBucket(client, bucket));
    },
    endpoint: async (context) => (await access(context)).endpoint,
    lendKeys: async (place, { context, ...wish }) => lendKeys(await access(context), place, wish),
    upload: (place, files, { context, ...options }) =>
      withClient(context, place.region, (client) =>
        uploadFiles({ client, place, files, signal: context.signal, ...options }),
      ),
    async *list(place, context) {
      const client = await open(context, place.region);
      try {
        yield* listObjects(client, place, context.signal);
      } finally {
        client.destroy();
      }
    },
    signReads: (place, keys, { expiresSeconds, context }) =>
      withClient(context, place.region, (client) => signReads(client, place.bucket, { keys, expiresSeconds })),
  };
}

/** Where buckets are looked for, and made when the nodes' place says nothing. */
function homeOf(access: ServiceAccess): string {
  return access.endpoint === undefined ? HOME_REGION : access.region;
}
