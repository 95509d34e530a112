import { enabledClouds } from "../check/clouds.ts";
import { cloudContext } from "../clusters/cluster.ts";
import type { OperationContext } from "../operation.ts";
import type { CloudContext } from "../ports/cloud.ts";
import type { ObjectStore, StoreType } from "../ports/object-store.ts";
import { displayCloud } from "../../shared/cloud-names.ts";
import { ResourcesUnavailableError } from "../../shared/errors.ts";

/** A store together with whom it is used as. */
export interface OpenStore {
  readonly store: ObjectStore;
  readonly as: CloudContext;
}

/**
 * Opens a store for a request. Where its cloud is off, after asking the cloud once more, who only reads (`isRead`) gets what is public, if
 * the store has that; otherwise throws ResourcesUnavailableError.
 */
export async function openStore(
  type: StoreType,
  context: OperationContext,
  { isRead = false }: { readonly isRead?: boolean } = {},
): Promise<OpenStore> {
  const store = await context.stores.load(type);
  const [cloud] = await enabledClouds(context, {
    names: [store.cloud],
    asks: (_name, last) => last?.includes("storage") !== true,
  });
  // A cloud that the config leaves out is not there at all.
  if (isRead && store.isPublicReadable && cloud?.enabled.includes("storage") === false) {
    return { store, as: { ...cloudContext(context), isAnonymous: true } };
  }
  if (cloud?.enabled.includes("storage") !== true) {
    const name = displayCloud(store.cloud);
    throw new ResourcesUnavailableError(
      `Storage "store: ${type.toLowerCase()}" specified, but ${name} access is disabled. To fix, enable ${name} by running \`sky check\`.`,
      { hint: `sky check ${store.cloud}` },
    );
  }
  return { store, as: cloudContext(context) };
}
