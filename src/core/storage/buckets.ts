import { findStorage, updateStorage, type StorageRow } from "../../db/queries/storage.ts";
import {
  StorageBucketCreateError,
  StorageBucketGetError,
  StorageModeError,
  StorageSourceError,
  StorageSpecError,
} from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";
import type { BucketState } from "../ports/object-store.ts";
import type { OpenStore } from "./access.ts";
import { withBucketLock } from "./bucket-lock.ts";
import { claimFields, noteUse } from "./claim.ts";
import { reading } from "./failed.ts";
import { isUnfinished, makeBucket, type BucketWish } from "./make-bucket.ts";
import { isMounted, type BucketMount } from "./mounts.ts";
import { openFor, requirePublic, type OpenPlace } from "./public-buckets.ts";
import { requireSameServer } from "./same-server.ts";

/**
 * Refuses buckets that a launch could not use, before anything costs money. Throws StorageBucketGetError, StorageSpecError,
 * ResourcesUnavailableError.
 */
export async function requireBucket(mount: BucketMount, context: OperationContext): Promise<void> {
  const open = await openFor(mount, context);
  const { region } = await lookUp(mount, open, context);
  if (region === undefined) return;
  if (open.as.isAnonymous === true) await requirePublic(mount, region, { open, context });
  if (isMounted(mount) && mount.prefix !== "") await requireFolder(mount, region, open);
}

/** A single object is no folder that could be seen as one. */
async function requireFolder(mount: BucketMount, region: string, { store, as }: OpenStore): Promise<void> {
  const found: string[] = [];
  for await (const { key } of store.list({ bucket: mount.bucket, region, prefix: mount.prefix }, as)) {
    found.push(key);
    if (key !== mount.prefix || found.length > 1) return;
  }
  if (found.length === 0) return;
  throw new StorageModeError(
    "MOUNT mode does not support mounting specific files from cloud storage. " +
      "Please use COPY mode or specify only the bucket name as the source.",
    { hint: `${mount.uri} is one object. Mount what it is in, or copy it: ${mount.dest}: ${mount.uri}` },
  );
}

interface Ensured {
  readonly region: string;
  readonly isNew: boolean;
}

/** Finds the bucket, or makes it; nothing removes it before the request is over. May be repeated. */
export async function ensureBucket(mount: BucketMount, wish: BucketWish, context: OperationContext): Promise<Ensured> {
  return withBucketLock(mount.bucket, context, async () => {
    // Looked at behind the lock: who held it may have removed the bucket.
    const open = await openFor(mount, context);
    const ensured = await ensureOpen(mount, wish, { open, context });
    await noteUse(mount, context);
    return ensured;
  });
}

async function ensureOpen(
  mount: BucketMount,
  wish: BucketWish,
  tools: { readonly open: OpenPlace; readonly context: OperationContext },
): Promise<Ensured> {
  const { open, context } = tools;
  const { row, region } = await lookUp(mount, open, context);
  if (region === undefined || (row !== undefined && isUnfinished(row))) {
    const wanted = region ?? (await open.store.regionFor(wish.nodes, open.as));
    await makeBucket(mount, { ...wish, region: wanted, before: row }, tools);
    return { region: wanted, isNew: true };
  }
  if (row !== undefined) {
    const claim = await claimFields({ mount, ...wish }, { before: row, handle: row.handle }, context);
    await updateStorage(context.db, row.name, { last_use: wish.command, status: "READY", region, ...claim });
    if (mount.sources.length > 0)
      context.log.line(`Verifying bucket and uploading from source for storage ${row.name}`);
  } else if (mount.name !== undefined) {
    context.log.line(`  Bucket '${mount.bucket}' was not made by SkyPilot: it is filled, and never deleted.`);
  }
  return { region, isNew: false };
}

/** A bucket that may be used. */
interface UsableBucket {
  /** Undefined for one that SkyPilot has not made. */
  readonly row: StorageRow | undefined;
  /** Undefined while it has to be made. */
  readonly region: string | undefined;
}

async function lookUp(mount: BucketMount, open: OpenPlace, context: OperationContext): Promise<UsableBucket> {
  const { bucket, name } = mount;
  const row = name === undefined ? undefined : await findStorage(context.db, name);
  if (name !== undefined && row === undefined) requireSource(mount, open.store.scheme);
  if (row !== undefined && row.store !== mount.store) throw otherStore(mount, row.store);
  if (row !== undefined) await requireSameServer(row, open);
  const look = (): Promise<BucketState> => open.store.findBucket(mount, open.as);
  const state = open.state ?? (await reading({ uri: mount.uri, cloud: open.store.cloud }, context.signal, look));
  if (state.kind === "forbidden") throw await forbidden(bucket, open);
  if (state.kind === "missing") {
    if (name === undefined) {
      throw new StorageBucketGetError(`Attempted to use a non-existent bucket as a source: ${mount.uri}.`, {
        hint: `Check the name: ${await open.store.lookCommand(bucket, open.as)}`,
      });
    }
    return { row, region: undefined };
  }
  // A bucket without a row is somebody else's work, and stays so: it is filled when the task says with what, and never removed.
  if (name !== undefined && row === undefined && mount.sources.length === 0) throw notOurs(name, open.store.scheme);
  return { row, region: state.region };
}

function requireSource({ name = "", sources, spec }: BucketMount, scheme: string): void {
  if (sources.length > 0 || spec?.mode !== "COPY") return;
  throw new StorageSourceError("New storage object: source must be specified when using COPY mode.", {
    hint: `A bucket that exists: source: ${scheme}://${name} in place of the name. A new one: add a source. Those that SkyPilot made: sky storage ls`,
  });
}

function otherStore(mount: BucketMount, before: string): StorageBucketCreateError {
  const [old, wanted] = [before.toLowerCase(), mount.store.toLowerCase()];
  return new StorageBucketCreateError(
    `Bucket ${mount.bucket} was previously created for '${old}', but a new store type '${wanted}' is requested. ` +
      `This is not supported yet. Please specify the same store type: '${old}'.`,
  );
}

async function forbidden(bucket: string, { store, as }: OpenStore): Promise<StorageBucketGetError> {
  return new StorageBucketGetError(
    `Failed to access existing bucket '${bucket}'. This is likely because it is a private bucket you do not have access to.\n` +
      "To fix: \n  1. If you are trying to create a new bucket: use a different name.\n" +
      "  2. If you are trying to connect to an existing bucket: make sure your cloud credentials have access to it. " +
      `To debug, consider running \`${await store.lookCommand(bucket, as)}\`.`,
    { hint: store.rightsHint },
  );
}

function notOurs(name: string, scheme: string): StorageSpecError {
  return new StorageSpecError(
    `Attempted to mount a non-sky managed bucket '${name}' without specifying the storage source. Bucket '${name}' already exists. \n` +
      "    • To create a new bucket, specify a unique name.\n" +
      "    • To mount an externally created bucket (e.g., created through cloud console or cloud cli), specify the bucket URL " +
      `in the source field instead of its name. I.e., replace \`name: ${name}\` with \`source: ${scheme}://${name}\`.`,
  );
}
