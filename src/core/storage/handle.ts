import type { BucketMount } from "./mounts.ts";

/** What is kept of a bucket beside its columns, in the names of the original. */
export function toHandleJson(mount: BucketMount, region: string): string {
  const { bucket, store, spec } = mount;
  const subPath = mount.prefix === "" ? null : mount.prefix;
  return JSON.stringify({
    storage_name: bucket,
    source: spec?.source ?? null,
    mode: spec?.mode ?? null,
    sky_stores: {
      [store]: { name: bucket, source: spec?.source ?? null, region, is_sky_managed: true, _bucket_sub_path: subPath },
    },
  });
}
