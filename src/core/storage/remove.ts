import { deleteStorage, findStorage, listStorage, updateStorage, type StorageRow } from "../../db/queries/storage.ts";
import { SkyError, StorageBucketDeleteError } from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";
import type { StoreType } from "../ports/object-store.ts";
import { openStore, type OpenStore } from "./access.ts";
import { bucketLockName, withBucketLock } from "./bucket-lock.ts";
import { requireUnkept, requireUnused } from "./claim.ts";
import { storageFailure } from "./failed.ts";
import { requireSameServer } from "./same-server.ts";

/** Removes a bucket with everything in it, and its row. Throws StorageBucketDeleteError. May be repeated. */
export async function removeStorage(row: StorageRow, context: OperationContext): Promise<void> {
  const { name } = row;
  const outcome = await context.effect(`storage-delete.${name}`, async () => {
    return deleteBucketOf(row, await openStore(row.store as StoreType, context), context);
  });
  await deleteStorage(context.db, row);
  context.log.line(
    outcome === "deleted"
      ? `Deleted ${row.store} bucket ${name}.`
      : `${row.store} bucket ${name} may have been deleted externally. Removing from local state.`,
  );
}

/**
 * Removes the bucket of a row, and leaves the row. To be done behind the bucket's lock, and not to be gone on with when that is lost: a launch
 * by another server may fill the bucket. Throws StorageBucketDeleteError.
 */
export async function deleteBucketOf(
  row: StorageRow,
  open: OpenStore,
  { locks }: Pick<OperationContext, "locks">,
): Promise<"deleted" | "gone"> {
  const loss = locks.lossOf(bucketLockName(row.name));
  const signal = AbortSignal.any([open.as.signal, loss]);
  try {
    await requireSameServer(row, open);
    return await open.store.deleteBucket(row.name, { ...open.as, signal });
  } catch (error) {
    open.as.signal.throwIfAborted();
    throw deletionFailed(row, loss.aborted ? loss.reason : error);
  }
}

/**
 * Removes the buckets that were to go with a cluster (`persistent: false`). One that cannot be removed is said and kept: nothing comes
 * back for it.
 */
export async function removeClusterStorage(clusterHash: string, context: OperationContext): Promise<void> {
  for (const { name } of await listStorage(context.db, { clusterHash }))
    await withBucketLock(name, context, () => removeGoing(name, clusterHash, context));
}

async function removeGoing(name: string, clusterHash: string, context: OperationContext): Promise<void> {
  const row = await findStorage(context.db, name);
  // Another cluster's task has had its say meanwhile.
  if (row?.cluster_hash !== clusterHash) return;
  try {
    await context.effect(`storage-delete.${name}.unused`, async () => {
      await requireUnused(row, context, { exceptOf: clusterHash, requestId: context.requestId });
      await requireUnkept(row, clusterHash, context);
    });
    await removeStorage(row, context);
  } catch (error) {
    if (!(error instanceof SkyError) || context.signal.aborted) throw error;
    await updateStorage(context.db, name, { cluster_hash: null });
    context.log.line(`WARNING: ${error.message} It stays in \`sky storage ls\`.`);
  }
}

function deletionFailed(row: StorageRow, error: unknown): Error {
  return storageFailure(StorageBucketDeleteError, error, {
    what: `Failed to delete ${row.store} bucket ${row.name}.`,
    hint: `Repeat the command: sky storage delete ${row.name}`,
  });
}
