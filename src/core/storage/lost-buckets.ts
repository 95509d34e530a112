import { listClusterMounts } from "../../db/queries/cluster-mounts.ts";
import type { ClusterRow } from "../../db/queries/clusters.ts";
import type { MountSpec } from "../../shared/agent/mounts.ts";
import { StorageExternalDeletionError } from "../../shared/errors.ts";
import { cloudContext } from "../clusters/cluster.ts";
import type { OperationContext } from "../operation.ts";
import type { BucketState, StoreType } from "../ports/object-store.ts";

/**
 * Looks whether the buckets are still there that a cluster's nodes mount again when they come up: of one that is gone they see an
 * empty directory. Throws StorageExternalDeletionError.
 */
export async function requireMountedBuckets(row: ClusterRow, context: OperationContext): Promise<void> {
  for (const mount of await listClusterMounts(context.db, row.cluster_hash)) {
    const { bucket, dest, prefix } = JSON.parse(mount.spec) as MountSpec;
    const store = await context.stores.load(mount.store as StoreType);
    // Whoever starts a cluster need not see its buckets, nor S3.
    const unknown = (): BucketState => ({ kind: "forbidden" });
    const state = await store.findBucket({ bucket, prefix }, cloudContext(context)).catch(unknown);
    if (state.kind !== "missing") continue;
    throw new StorageExternalDeletionError(
      `The bucket, '${bucket}', could not be mounted on cluster '${row.name}'. Please verify that the bucket exists. ` +
        "The cluster started successfully without mounting the bucket.",
      { hint: `${dest} is empty there. Make the bucket again, or launch again: sky launch -c ${row.name} …` },
    );
  }
}
