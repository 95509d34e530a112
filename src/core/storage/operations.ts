import { findStorage, listStorage, type StorageRow } from "../../db/queries/storage.ts";
import { InvalidValueError, StorageBucketDeleteError } from "../../shared/errors.ts";
import type { StorageRecord } from "../../shared/wire/storage.ts";
import type { Operation, OperationContext } from "../operation.ts";
import { withBucketLock } from "./bucket-lock.ts";
import { requireUnused } from "./claim.ts";
import { removeStorage } from "./remove.ts";

export interface StorageDeleteBody {
  readonly name: string;
  /** Whether it goes under those who use it, too. */
  readonly force: boolean;
}

export const storageListOperation: Operation<object, readonly StorageRecord[]> = {
  name: "storage.ls",
  wireName: "storage_ls",
  schedule: "short",
  isResumable: false,
  run: async (_body, context) => {
    const rows = await listStorage(context.db);
    return rows.map((row) => ({
      name: row.name,
      launched_at: Math.floor(row.launched_at / 1000),
      store: [row.store],
      last_use: row.last_use ?? "",
      status: row.status,
    }));
  },
};

export const storageDeleteOperation: Operation<StorageDeleteBody, null> = {
  name: "storage.delete",
  wireName: "storage_delete",
  schedule: "long",
  isResumable: true,
  run: (body, context) => withBucketLock(body.name, context, () => runDelete(body, context)),
};

async function runDelete({ name, force }: StorageDeleteBody, context: OperationContext): Promise<null> {
  // Journaled, so that a request that goes on after a restart does not miss the row that it has removed itself.
  const row = await context.effect("storage-delete.begin", async () => (await findStorage(context.db, name)) ?? null);
  if (row === null) throw new InvalidValueError(`Storage name '${name}' not found.`, { hint: "sky storage ls" });
  if (!force) await requireFree(row, context);
  await removeStorage(row, context);
  return null;
}

/**
 * Refuses to remove what a cluster has mounted, or a launch has claimed: after the end of its server a deletion may go on behind one that
 * waited for the bucket.
 */
async function requireFree(row: StorageRow, context: OperationContext): Promise<void> {
  const now = await findStorage(context.db, row.name);
  if (now === undefined) return;
  await requireUnused(now, context, { requestId: context.requestId });
  const isTaken =
    now.launched_at !== row.launched_at || now.cluster_hash !== row.cluster_hash || now.handle !== row.handle;
  if (!isTaken) return;
  throw new StorageBucketDeleteError(`A launch has begun to use bucket ${row.name} meanwhile.`, {
    hint: `If it is to go all the same: sky storage delete ${row.name}`,
  });
}
