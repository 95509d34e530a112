import { listAllMounts } from "../../db/queries/cluster-mounts.ts";
import { deleteStorage, listStorage, type StorageRow } from "../../db/queries/storage.ts";
import { SkyError, StorageBucketDeleteError } from "../../shared/errors.ts";
import type { MountSpec } from "../../shared/agent/mounts.ts";
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
  await deleteStorage(context.db, row);
  context.log.line(
    outcome === "deleted"
      ? `Deleted ${row.store} bucket ${name}.`
      : `${row.store} bucket ${name} may have been deleted externally. Removing from local state.`,
  );
}

/** Refuses to take a bucket away under the tasks of clusters that mount it. Throws StorageBucketDeleteError. */
export async function requireUnused(
  row: StorageRow,
  context: OperationContext,
  { exceptOf }: { /** Hash of a cluster that is going. */ readonly exceptOf?: string } = {},
): Promise<void> {
  const mounts = await listAllMounts(context.db);
  const users = mounts.filter(
    ({ store, spec, cluster_hash }) =>
      store === row.store && cluster_hash !== exceptOf && (JSON.parse(spec) as MountSpec).bucket === row.name,
  );
  const names = [...new Set(users.map((mount) => mount.cluster_name))];
  if (names.length === 0) return;
  const clusters = `cluster${names.length === 1 ? "" : "s"} ${names.join(", ")}`;
  throw new StorageBucketDeleteError(`Bucket ${row.name} is mounted by ${clusters}.`, {
    hint: `Take ${names.length === 1 ? "it" : "them"} down first: sky down ${names.join(" ")}`,
  });
}

/** Removes the buckets that were to go with a cluster (`persistent: false`). One that cannot be removed is said and kept. */
export async function removeClusterStorage(clusterHash: string, context: OperationContext): Promise<void> {
  for (const row of await listStorage(context.db, { clusterHash })) {
    try {
      await context.effect(`storage-delete.${row.name}.unused`, () =>
        requireUnused(row, context, { exceptOf: clusterHash }),
      );
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
