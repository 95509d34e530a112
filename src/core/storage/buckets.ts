import { deleteStorage, findStorage, insertStorage, updateStorage, type StorageRow } from "../../db/queries/storage.ts";
import {
  SkyError,
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
import { claimFields } from "./claim.ts";
import { reading, storageFailure } from "./failed.ts";
import { toHandleJson } from "./handle.ts";
import { isMounted, type BucketMount } from "./mounts.ts";
import { requireSameServer } from "./same-server.ts";
import { openFor, requirePublic, type OpenPlace } from "./public-buckets.ts";

/** Where and for whom a bucket that is missing is made. */
export interface BucketWish {
  /** Where it is used. */
  readonly nodes: { readonly cloud: string; readonly region: string };
  /** The command that uses it. */
  readonly command: string | null;
  /** With which cluster a bucket goes that is not to persist. */
  readonly clusterHash: string;
}

interface Ensured {
  readonly region: string;
  readonly isNew: boolean;
}

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

/** Finds the bucket, or makes it. May be repeated. */
export async function ensureBucket(mount: BucketMount, wish: BucketWish, context: OperationContext): Promise<Ensured> {
  const open = await openFor(mount, context);
  const ensure = (): Promise<Ensured> => ensureOpen(mount, wish, { open, context });
  return mount.name === undefined ? ensure() : withBucketLock(mount.name, context, ensure);
}

async function ensureOpen(
  mount: BucketMount,
  wish: BucketWish,
  tools: { readonly open: OpenPlace; readonly context: OperationContext },
): Promise<Ensured> {
  const { open, context } = tools;
  const { row, region } = await lookUp(mount, open, context);
  if (region === undefined) {
    const wanted = await open.store.regionFor(wish.nodes, open.as);
    await createBucket(mount, { ...wish, region: wanted, before: row }, tools);
    return { region: wanted, isNew: true };
  }
  if (row !== undefined) {
    const claim = await claimFields({ mount, ...wish }, { before: row, handle: row.handle }, context);
    await updateStorage(context.db, row.name, { last_use: wish.command, status: "READY", region, ...claim });
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
  if (name !== undefined && row === undefined) requireSource(mount);
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

function requireSource({ sources, spec }: BucketMount): void {
  if (sources.length > 0 || spec?.mode !== "COPY") return;
  throw new StorageSourceError("New storage object: source must be specified when using COPY mode.", {
    hint: "Buckets that SkyPilot knows: sky storage ls",
  });
}

async function createBucket(
  mount: BucketMount,
  wish: BucketWish & { readonly region: string; /** Its row, where it vanished. */ readonly before: StorageRow | undefined },
  { open, context }: { readonly open: OpenStore; readonly context: OperationContext },
): Promise<void> {
  const { bucket, store: type } = mount;
  const handle = toHandleJson(mount, { region: wish.region, server: await open.store.server(open.as) });
  // The row comes first, so that no bucket can be there that `sky storage ls` does not show.
  const row: StorageRow = {
    name: bucket,
    store: type,
    region: wish.region,
    status: "INIT",
    launched_at: context.clock.now(),
    last_use: wish.command,
    user_hash: context.caller.userId,
    workspace: context.caller.workspace,
    ...(await claimFields({ mount, ...wish }, { before: wish.before, handle }, context)),
  };
  await insertStorage(context.db, row);
  try {
    await open.store.createBucket(bucket, { region: wish.region, labels: labelsOf(open, context) }, open.as);
  } catch (error) {
    // A refusal made nothing. After anything else nobody knows, and the row stays.
    if (error instanceof SkyError) await deleteStorage(context.db, row);
    else await updateStorage(context.db, bucket, { status: "INIT_FAILED" });
    throw creationFailed(mount, error);
  }
  await updateStorage(context.db, bucket, { status: "READY", region: wish.region });
}

/** `labels` of the store's cloud in the config, such as `aws.labels`. */
function labelsOf({ store }: OpenStore, context: OperationContext): Readonly<Record<string, string>> {
  const section = context.config[store.cloud];
  const labels: unknown = typeof section === "object" && section !== null ? Reflect.get(section, "labels") : undefined;
  if (typeof labels !== "object" || labels === null) return {};
  return Object.fromEntries(Object.entries(labels).map(([key, value]) => [key, String(value)]));
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

function creationFailed({ bucket, store }: BucketMount, error: unknown): Error {
  return storageFailure(StorageBucketCreateError, error, {
    what: `Attempted to create ${store} bucket ${bucket} but failed.`,
    hint: "If it was made all the same, `sky storage ls` shows it; launch again to go on.",
    reason: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
  });
}
