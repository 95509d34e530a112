import { expect, test } from "vitest";
import type { StorageSpec } from "../task/task.ts";
import { toMountSpec } from "./mount-spec.ts";
import type { BucketMount } from "./mounts.ts";

const SEQUENTIAL = { data: { mount_cached: { sequential_upload: true } } };

function cacheOf(spec: Partial<StorageSpec>, config: Readonly<Record<string, unknown>>): unknown {
  const mount = { dest: "~/data", bucket: "b", prefix: "", spec: { mode: "MOUNT_CACHED", ...spec } } as BucketMount;
  return toMountSpec(mount, { scheme: "s3", region: "us-east-1", endpoint: undefined, credentials: "lent", config })
    .cache;
}

test("the config makes uploads sequential, unless the task or its type says otherwise", () => {
  expect(cacheOf({}, {})).toEqual({});
  expect(cacheOf({}, SEQUENTIAL)).toEqual({ transfers: 1 });
  expect(cacheOf({ type: "DATASET_RW" }, SEQUENTIAL)).toMatchObject({ transfers: 16 });
  expect(cacheOf({ config: { mount_cached: { transfers: 4 } } }, SEQUENTIAL)).toEqual({ transfers: 4 });
});
