import type { StorageRow } from "../../db/queries/storage.ts";
import type { BucketMount } from "./mounts.ts";

/** What is kept of a bucket beside its columns, in the names of the original where it has it. */
interface Handle {
  /** Server that has it; null = the provider's own, absent in rows of older releases. */
  readonly endpoint?: string | null;
  /** Clusters whose tasks call it persistent. */
  readonly kept_by?: readonly string[];
  /** Requests that use it; those that are over do not count. */
  readonly used_by?: readonly string[];
}

interface Made {
  readonly region: string;
  /** As `ObjectStore.server` says. */
  readonly server: string | undefined;
}

export function toHandleJson(mount: BucketMount, made: Made): string {
  const { bucket, store, spec } = mount;
  const { region, server } = made;
  const subPath = mount.prefix === "" ? null : mount.prefix;
  return JSON.stringify({
    storage_name: bucket,
    source: spec?.source ?? null,
    mode: spec?.mode ?? null,
    endpoint: server ?? null,
    sky_stores: {
      [store]: { name: bucket, source: spec?.source ?? null, region, is_sky_managed: true, _bucket_sub_path: subPath },
    },
  });
}

type HandleRow = Pick<StorageRow, "handle">;

/** Which server has the bucket: null = the provider's own; undefined = the row does not tell. */
export function serverOf(row: HandleRow): string | null | undefined {
  return read(row).endpoint;
}

/** Hashes of the clusters whose tasks call the bucket persistent; some may be gone. */
export function keepersOf(row: HandleRow): readonly string[] {
  return read(row).kept_by ?? [];
}

/** Requests that have begun to use the bucket; some may be over. */
export function usersOf(row: HandleRow): readonly string[] {
  return read(row).used_by ?? [];
}

export function withUsers(handle: string, requestIds: readonly string[]): string {
  return JSON.stringify({ ...read({ handle }), used_by: requestIds });
}

export function withKeepers(handle: string, clusterHashes: readonly string[]): string {
  return JSON.stringify({ ...read({ handle }), kept_by: clusterHashes });
}

function read({ handle }: HandleRow): Handle {
  return JSON.parse(handle) as Handle;
}
