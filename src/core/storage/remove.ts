import { deleteStorage, listStorage, type StorageRow } from "../../db/queries/storage.ts";
import { SkyError, StorageBucketDeleteError } from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";
import type { StoreType } from "../ports/object-store.ts";
import { openStore } from "./access.ts";
import { storageFailure } from "./failed.ts";

/** Removes a bucket with everything in it, and its row. Throws StorageBucketDeleteError. May be repeated. */
export async function removeStorage(row: StorageRow, context: OperationContext): Promise<void> {
  const { name } = row;
  const outcome = await context.effect(`storage-delete.${name}`, async () => {
    const { store, as } = await openStore(row.store as StoreType, context);
    try {
      return await store.deleteBucket(name, as);
    } catch (error) {
      throw deletionFailed(row, error);
    }
  });
  await deleteStorage(context.db, name);
  context.log.line(
    outcome === "deleted"
      ? `Deleted ${row.store} bucket ${name}.`
      : `${row.store} bucket ${name} may have been deleted externally. Removing from local state.`,
  );
}

/** Removes the buckets that were to go with a cluster (`persistent: false`). One that cannot be removed is said and kept. */
export async function removeClusterStorage(clusterHash: string, context: OperationContext): Promise<void> {
  for (const row of await listStorage(context.db, { clusterHash })) {
    try {
      await removeStorage(row, context);
    } catch (error) {
      if (!(error instanceof SkyError)) throw error;
      context.log.line(`WARNING: ${error.message} It stays in \`sky storage ls\`.`);
    }
  }
}

function deletionFailed(row: StorageRow, error: unknown): Error {
  return storageFailure(StorageBucketDeleteError, error, {
    what: `Failed to delete ${row.store} bucket ${row.name}.`,
    hint: `Repeat the command: sky storage delete ${row.name}`,
  });
}
