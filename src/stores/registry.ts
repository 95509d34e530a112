import type { CloudContext, CloudRegistry, ServiceAccess } from "../core/ports/cloud.ts";
import type { ObjectStore, StoreRegistry, StoreType } from "../core/ports/object-store.ts";
import { NoCloudAccessError } from "../shared/errors.ts";

type OpenAccess = (context: CloudContext) => Promise<ServiceAccess>;

/** Every object store by its type; the only place that names them. */
const stores = {
  S3: (clouds) => import("./s3/store.ts").then((m) => m.createS3Store(accessOf(clouds, "aws", "s3"))),
  R2: async (clouds) => {
    const [{ createS3Store }, { R2 }] = await Promise.all([import("./s3/store.ts"), import("./s3/kind.ts")]);
    return createS3Store(accessOf(clouds, R2.cloud, "s3"), R2);
  },
} as const satisfies Record<StoreType, (clouds: CloudRegistry) => Promise<ObjectStore>>;

/** Finds stores by type and loads their code on first use. A store calls with the keys of the cloud that it belongs to. */
export function createStoreRegistry(clouds: CloudRegistry): StoreRegistry {
  const loaded = new Map<StoreType, Promise<ObjectStore>>();
  return {
    types: () => Object.keys(stores) as StoreType[],
    load: (type) => {
      const store = loaded.get(type) ?? stores[type](clouds);
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
