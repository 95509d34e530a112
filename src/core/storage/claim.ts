import { listClustersByHash } from "../../db/queries/clusters.ts";
import { listAllMounts } from "../../db/queries/cluster-mounts.ts";
import type { StorageRow } from "../../db/queries/storage.ts";
import type { MountSpec } from "../../shared/agent/mounts.ts";
import { StorageBucketDeleteError } from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";
import { keepersOf, withKeepers } from "./handle.ts";
import type { BucketMount } from "./mounts.ts";

type Store = Pick<OperationContext, "db">;

/**
 * What a row says of how long its bucket stays, once a cluster's task uses it. The last word counts; but which clusters there are whose
 * tasks call it persistent is kept, because nothing that goes with another may take it from them.
 */
export async function claimFields(
  { mount, clusterHash }: { readonly mount: BucketMount; readonly clusterHash: string },
  { before, handle }: { readonly before: StorageRow | undefined; readonly handle: string },
  { db }: Store,
): Promise<Pick<StorageRow, "cluster_hash" | "handle">> {
  const keepers = before === undefined ? [] : await listClustersByHash(db, keepersOf(before));
  const others = keepers.map((cluster) => cluster.cluster_hash).filter((hash) => hash !== clusterHash);
  return mount.persistent
    ? { cluster_hash: null, handle: withKeepers(handle, [...others, clusterHash]) }
    : { cluster_hash: clusterHash, handle: withKeepers(handle, others) };
}

/** Refuses to take a bucket away under the tasks of clusters that mount it. Throws StorageBucketDeleteError. */
export async function requireUnused(
  row: StorageRow,
  { db }: Store,
  { exceptOf }: { /** Hash of a cluster that is going. */ readonly exceptOf?: string } = {},
): Promise<void> {
  const mounts = await listAllMounts(db);
  const users = mounts.filter(
    ({ store, spec, cluster_hash }) =>
      store === row.store && cluster_hash !== exceptOf && (JSON.parse(spec) as MountSpec).bucket === row.name,
  );
  const names = [...new Set(users.map((mount) => mount.cluster_name))];
  if (names.length === 0) return;
  throw new StorageBucketDeleteError(`Bucket ${row.name} is mounted by ${clustersText(names)}.`, {
    hint: `Take ${names.length === 1 ? "it" : "them"} down first: sky down ${names.join(" ")}`,
  });
}

/** Refuses to take a bucket away with a cluster while another's task calls it persistent. Throws StorageBucketDeleteError. */
export async function requireUnkept(row: StorageRow, goingHash: string, { db }: Store): Promise<void> {
  const keepers = await listClustersByHash(db, keepersOf(row));
  const names = keepers.filter((cluster) => cluster.cluster_hash !== goingHash).map((cluster) => cluster.name);
  if (names.length === 0) return;
  throw new StorageBucketDeleteError(`Bucket ${row.name} is persistent for ${clustersText(names)}.`, {
    hint: `To remove it all the same: sky storage delete ${row.name}`,
  });
}

function clustersText(names: readonly string[]): string {
  return `cluster${names.length === 1 ? "" : "s"} ${names.join(", ")}`;
}
