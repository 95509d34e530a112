import { findStorage, listStorage } from "../../db/queries/storage.ts";
import { InvalidValueError } from "../../shared/errors.ts";
import type { StorageRecord } from "../../shared/wire/storage.ts";
import type { Operation, OperationContext } from "../operation.ts";
import { withBucketLock } from "./bucket-lock.ts";
import { requireUnused } from "./claim.ts";
import { removeStorage } from "./remove.ts";

export interface StorageDeleteBody {
  readonly name: string;
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

async function runDelete({ name }: StorageDeleteBody, context: OperationContext): Promise<null> {
  // Journaled, so that a request that goes on after a restart does not miss the row that it has removed itself.
  const row = await context.effect("storage-delete.begin", async () => {
    const found = await findStorage(context.db, name);
    if (found !== undefined) await requireUnused(found, context);
    return found ?? null;
  });
  if (row === null) throw new InvalidValueError(`Storage name '${name}' not found.`, { hint: "sky storage ls" });
  await removeStorage(row, context);
  return null;
}
