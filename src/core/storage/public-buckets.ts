import { displayCloud } from "../../shared/cloud-names.ts";
import { PermissionDeniedError, StorageBucketGetError } from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";
import type { BucketState } from "../ports/object-store.ts";
import { openStore, type OpenStore } from "./access.ts";
import { reading, storageFailure } from "./failed.ts";
import { isOnlyRead, type BucketMount } from "./mounts.ts";

/** A store as a mount uses it. */
export interface OpenPlace extends OpenStore {
  /** The bucket, where opening took a look at it. */
  readonly state?: BucketState;
}

/**
 * Opens a mount's store: without credentials where what is only read is public, and they are missing or refused. (Who may nothing
 * with S3 may not read public buckets of other accounts either, until the request is not signed.)
 */
export async function openFor(mount: BucketMount, context: OperationContext): Promise<OpenPlace> {
  const open = await openStore(mount.store, context, { isRead: isOnlyRead(mount) });
  const { cloud, isPublicReadable } = open.store;
  if (!isOnlyRead(mount) || !isPublicReadable || open.as.isAnonymous === true) return open;
  return reading({ uri: mount.uri, cloud }, context.signal, () => unlessRefused(mount, open));
}

async function unlessRefused(mount: BucketMount, { store, as }: OpenStore): Promise<OpenPlace> {
  const state = await store.findBucket(mount, as);
  const signed = { store, as, state };
  if (state.kind !== "forbidden") return signed;
  const unsigned = { ...as, isAnonymous: true };
  const outside = await store.findBucket(mount, unsigned);
  if (outside.kind !== "exists") return signed;
  try {
    await readSome(mount, outside.region, { store, as: unsigned });
    return { store, as: unsigned, state: outside };
  } catch (error) {
    if (error instanceof PermissionDeniedError) return signed;
    throw error;
  }
}

/** Without credentials a bucket that is there says little of what may be read. */
export async function requirePublic(
  mount: BucketMount,
  region: string,
  { open, context }: { readonly open: OpenPlace; readonly context: OperationContext },
): Promise<void> {
  const cloud = displayCloud(open.store.cloud);
  // With credentials they were tried first, which took a look at the bucket.
  const isOff = open.state === undefined;
  context.log.line(
    isOff
      ? `${cloud} access is off: ${mount.uri} is read without credentials.`
      : `These ${cloud} credentials may not read ${mount.uri}, which is public: it is read without them.`,
  );
  try {
    await readSome(mount, region, open);
  } catch (error) {
    throw storageFailure(StorageBucketGetError, error, {
      what: `${mount.uri} cannot be read.`,
      hint: `sky check ${open.store.cloud}`,
    });
  }
}

async function readSome(mount: BucketMount, region: string, { store, as }: OpenStore): Promise<void> {
  for await (const _ of store.list({ bucket: mount.bucket, region, prefix: mount.prefix }, as)) break;
}
