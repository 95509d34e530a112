import { findStorage } from "../../db/queries/storage.ts";
import { enabledClouds } from "../check/clouds.ts";
import type { OperationContext } from "../operation.ts";
import type { ObjectStore, StoreType } from "../ports/object-store.ts";
import type { Task } from "../task/task.ts";

/** Store types by the names of buckets. */
export type ChosenStores = ReadonlyMap<string, StoreType>;

/**
 * Where the buckets of storage objects are that name no store: where an earlier launch made them, else in the first store that is on. The
 * nodes' place has no say: of the clouds that have nodes, only that of the first store has buckets.
 */
export async function chooseStores(
  task: Pick<Task, "storageMounts">,
  context: OperationContext,
): Promise<ChosenStores> {
  const chosen = new Map<string, StoreType>();
  for (const { name, store } of Object.values(task.storageMounts)) {
    if (name === undefined || store !== undefined || chosen.has(name)) continue;
    const row = await findStorage(context.db, name);
    chosen.set(name, (row?.store as StoreType | undefined) ?? (await firstEnabled(context)));
  }
  return chosen;
}

/** When none is on, also after asking once more, the first: its refusal says what to do. */
async function firstEnabled(context: OperationContext): Promise<StoreType> {
  const [first, ...others] = await Promise.all(context.stores.types().map((type) => context.stores.load(type)));
  if (first === undefined) throw new Error("There is no store.");
  const stores = [first, ...others];
  const known = await findEnabled(stores, context, (last) => last === undefined);
  const found = known ?? (await findEnabled(stores, context, () => true));
  return (found ?? first).type;
}

/** `asks` says of which clouds the last answer does not count. */
async function findEnabled(
  stores: readonly ObjectStore[],
  context: OperationContext,
  asks: (last: readonly string[] | undefined) => boolean,
): Promise<ObjectStore | undefined> {
  const names = stores.map(({ cloud }) => cloud);
  const clouds = await enabledClouds(context, { names, asks: (_name, last) => asks(last) });
  const on = clouds.filter(({ enabled }) => enabled.includes("storage")).map(({ cloud }) => cloud.name);
  return stores.find(({ cloud }) => on.includes(cloud));
}
