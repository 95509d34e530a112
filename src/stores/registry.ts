import { join } from "node:path";
import type { CloudContext, CloudRegistry, ServiceAccess } from "../core/ports/cloud.ts";
import type { ObjectStore, StoreRegistry, StoreType } from "../core/ports/object-store.ts";
import { NoCloudAccessError } from "../shared/errors.ts";

type OpenAccess = (context: CloudContext) => Promise<ServiceAccess>;

/** Every object store by its type; the only place that names them. */
const stores = {
  S3: async (clouds, { unfinishedUploads }) => {
    const [{ createS3Store }, { AMAZON }] = await Promise.all([import("./s3/store.ts"), import("./s3/kind.ts")]);
    const directory = join(unfinishedUploads, "s3");
    return createS3Store(accessOf(clouds, AMAZON.cloud, "s3"), AMAZON, { unfinishedUploads: directory });
  },
  R2: async (clouds, { unfinishedUploads }) => {
    const [{ createS3Store }, { R2 }] = await Promise.all([import("./s3/store.ts"), import("./s3/kind.ts")]);
    const directory = join(unfinishedUploads, "r2");
    return createS3Store(accessOf(clouds, R2.cloud, "s3"), R2, { unfinishedUploads: directory });
  },
} as const satisfies Record<StoreType, (clouds: CloudRegistry, folders: StoreFolders) => Promise<ObjectStore>>;

export interface StoreFolders {
  /** Where stores remember uploads that are cut off. */
  readonly unfinishedUploads: string;
}

/** Finds stores by type and loads their code on first use. A store calls with the keys of the cloud that it belongs to. */
export function createStoreRegistry(clouds: CloudRegistry, folders: StoreFolders): StoreRegistry {
  const loaded = new Map<StoreType, Promise<ObjectStore>>();
  return {
    types: () => Object.keys(stores) as StoreType[],
    load: (type) => {
      const store = loaded.get(type) ?? stores[type](clouds, folders);
      loaded.set(type, store);
      return store;
    },
  };
}

function accessOf(clouds: CloudRegistry, name: string, service: string): OpenAccess {
  return async (context) => {
    const cloud = await clouds.load(name);
    if (cloud.serviceAccess === undefined) {
      throw new NoCloudAccessError(`${cloud.displayName} gives no access to ${service}.`);
    }
    return cloud.serviceAccess(service, context);
  };
}
