import { deleteStorage, insertStorage, updateStorage, type StorageRow } from "../../db/queries/storage.ts";
import { SkyError, StorageBucketCreateError } from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";
import type { OpenStore } from "./access.ts";
import { claimFields } from "./claim.ts";
import { storageFailure } from "./failed.ts";
import { toHandleJson, usersOf, withUsers } from "./handle.ts";
import type { BucketMount } from "./mounts.ts";

/** Where and for whom a bucket that is missing is made. */
export interface BucketWish {
  /** Where it is used. */
  readonly nodes: { readonly cloud: string; readonly region: string };
  /** The command that uses it. */
  readonly command: string | null;
  /** With which cluster a bucket goes that is not to persist. */
  readonly clusterHash: string;
}

interface MakeWish extends BucketWish {
  readonly region: string;
  /** Its row, where it was begun before, or vanished. */
  readonly before: StorageRow | undefined;
}

interface Tools {
  readonly open: OpenStore;
  readonly context: OperationContext;
}

/** Whether the making of a bucket was cut off: it may be there, but open to the public or without its labels. */
export function isUnfinished(row: Pick<StorageRow, "status">): boolean {
  return row.status === "INIT" || row.status === "INIT_FAILED";
}

/** Makes a bucket, or goes on with it. Throws StorageBucketCreateError. */
export async function makeBucket(mount: BucketMount, wish: MakeWish, { open, context }: Tools): Promise<void> {
  const { bucket } = mount;
  const { store, as } = open;
  const row = await toRow(mount, wish, { open, context });
  // The row comes first, so that no bucket can be there that `sky storage ls` does not show.
  await insertStorage(context.db, row);
  let isMade = false;
  const onMade = (): void => void (isMade = true);
  try {
    await store.createBucket(bucket, { region: wish.region, labels: labelsOf(open, context), onMade }, as);
  } catch (error) {
    if (!isMade && (await isNothingMade(error, mount, open))) await deleteStorage(context.db, row);
    else await updateStorage(context.db, bucket, { status: "INIT_FAILED" });
    throw creationFailed(mount, error);
  }
  await updateStorage(context.db, bucket, { status: "READY" });
}

async function toRow(mount: BucketMount, wish: MakeWish, { open, context }: Tools): Promise<StorageRow> {
  const made = toHandleJson(mount, { region: wish.region, server: await open.store.server(open.as) });
  const handle = wish.before === undefined ? made : withUsers(made, usersOf(wish.before));
  return {
    name: mount.bucket,
    store: mount.store,
    region: wish.region,
    status: "INIT",
    launched_at: context.clock.now(),
    last_use: wish.command,
    user_hash: context.caller.userId,
    workspace: context.caller.workspace,
    ...(await claimFields({ mount, ...wish }, { before: wish.before, handle }, context)),
  };
}

/** A refusal has made nothing, but an earlier try may have. After anything else nobody knows. */
async function isNothingMade(error: unknown, { bucket }: BucketMount, { store, as }: OpenStore): Promise<boolean> {
  if (!(error instanceof SkyError) || as.signal.aborted) return false;
  const state = await store.findBucket({ bucket, prefix: "" }, as).catch(() => undefined);
  return state?.kind === "missing";
}

/** `labels` of the store's cloud in the config, such as `aws.labels`. */
function labelsOf({ store }: OpenStore, context: OperationContext): Readonly<Record<string, string>> {
  const section = context.config[store.cloud];
  const labels: unknown = typeof section === "object" && section !== null ? Reflect.get(section, "labels") : undefined;
  if (typeof labels !== "object" || labels === null) return {};
  return Object.fromEntries(Object.entries(labels).map(([key, value]) => [key, String(value)]));
}

function creationFailed({ bucket, store }: BucketMount, error: unknown): Error {
  return storageFailure(StorageBucketCreateError, error, {
    what: `Attempted to create ${store} bucket ${bucket} but failed.`,
    hint: "If it was made all the same, `sky storage ls` shows it; launch again to go on.",
    reason: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
  });
}
