import { listClustersByHash } from "../../db/queries/clusters.ts";
import { listAllMounts } from "../../db/queries/cluster-mounts.ts";
import { listActiveAmong } from "../../db/queries/requests.ts";
import { findStorage, updateStorage, type StorageRow } from "../../db/queries/storage.ts";
import { StorageBucketDeleteError } from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";
import { keepersOf, usersOf, withKeepers, withUsers } from "./handle.ts";
import { mountedPlaces } from "./mounted-places.ts";
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

/**
 * Notes that a request uses a bucket, if SkyPilot has made it. To be done behind the bucket's lock: the request fills the bucket, mounts or copies
 * it in its own time, and whoever is about to remove it must know.
 */
export async function noteUse(
  { bucket, store }: Pick<BucketMount, "bucket" | "store">,
  { db, requestId }: Pick<OperationContext, "db" | "requestId">,
): Promise<void> {
  const row = await findStorage(db, bucket);
  if (row?.store !== store) return;
  const others = (await listActiveAmong(db, usersOf(row))).map((request) => request.request_id);
  await updateStorage(db, bucket, { handle: withUsers(row.handle, [...new Set([...others, requestId])]) });
}

interface Exceptions {
  /** Hash of a cluster that is going. */
  readonly exceptOf?: string;
  /** Id of the request that asks. */
  readonly requestId?: string;
}

/**
 * Refuses to take a bucket away under the tasks of clusters that mount it, and under launches that are about to use it. Throws
 * StorageBucketDeleteError.
 */
export async function requireUnused(
  row: StorageRow,
  { db }: Store,
  { exceptOf, requestId }: Exceptions = {},
): Promise<void> {
  const active = await listActiveAmong(db, usersOf(row));
  const user = active.find((request) => request.request_id !== requestId);
  if (user !== undefined) throw inUse(row, user);
  const mounts = await listAllMounts(db);
  const users = mounts.filter(
    (mount) =>
      mount.cluster_hash !== exceptOf &&
      mountedPlaces(mount).some(({ store, spec }) => store === row.store && spec.bucket === row.name),
  );
  const names = [...new Set(users.map((mount) => mount.cluster_name))];
  if (names.length === 0) return;
  throw new StorageBucketDeleteError(`Bucket ${row.name} is mounted by ${clustersText(names)}.`, {
    hint: `Take ${names.length === 1 ? "it" : "them"} down first: sky down ${names.join(" ")}. To delete it under running tasks: sky storage delete --force ${row.name}`,
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

function inUse(
  { name }: StorageRow,
  { request_id, cluster_name }: { readonly request_id: string; readonly cluster_name: string | null },
): StorageBucketDeleteError {
  const where = cluster_name === null ? "" : ` on cluster ${cluster_name}`;
  return new StorageBucketDeleteError(`Bucket ${name} is being brought${where} at this moment.`, {
    hint: `Repeat the command when that is done, or end it: sky api cancel ${request_id}`,
  });
}

function clustersText(names: readonly string[]): string {
  return `cluster${names.length === 1 ? "" : "s"} ${names.join(", ")}`;
}
