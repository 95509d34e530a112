import type { MountCache, MountSpec } from "../../shared/agent/mounts.ts";
import type { StorageSpec } from "../task/task.ts";
import type { BucketMount } from "./mounts.ts";

type Fields = Readonly<Record<string, unknown>>;

/** `type:` of a storage object, as rclone's settings. */
const PRESETS: Readonly<Record<string, MountCache & { readonly isReadOnly: boolean }>> = {
  MODEL_CHECKPOINT_RO: { readChunkSize: "32M", readChunkStreams: 16, isReadOnly: true },
  MODEL_CHECKPOINT_RW: { readChunkSize: "32M", readChunkStreams: 16, transfers: 8, isReadOnly: false },
  DATASET_RO: { readChunkSize: "8M", readChunkStreams: 0, isReadOnly: true },
  DATASET_RW: { readChunkSize: "8M", readChunkStreams: 0, transfers: 16, isReadOnly: false },
};

export interface MountSpecOptions {
  /** Of the store's URIs. */
  readonly scheme: string;
  readonly region: string;
  readonly endpoint: string | undefined;
  readonly credentials: MountSpec["credentials"];
  /** Of the request: `data.mount_cached.sequential_upload` counts. */
  readonly config: Fields;
}

/** What the agents are told of a bucket that is mounted. */
export function toMountSpec(mount: BucketMount, options: MountSpecOptions): MountSpec {
  const { scheme, region, endpoint, credentials } = options;
  const { dest, bucket, prefix, spec } = mount;
  const isCached = spec?.mode === "MOUNT_CACHED";
  return {
    dest,
    ...(scheme === "s3" ? {} : { scheme }),
    bucket,
    prefix,
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    isReadOnly: isReadOnlyMount(mount),
    ...(isCached ? { cache: cacheOf(spec, options.config) } : {}),
    credentials,
  };
}

export function isReadOnlyMount({ spec }: BucketMount): boolean {
  const own = sectionOf(spec?.config, "mount")["read_only"] ?? sectionOf(spec?.config, "mount_cached")["read_only"];
  return own === undefined ? presetOf(spec).isReadOnly : own === true;
}

/** What the task says wins over its `type`, and both over the config. */
function cacheOf(spec: StorageSpec, config: Fields): MountCache {
  const own = sectionOf(spec.config, "mount_cached");
  const isSequential = sectionOf(sectionOf(config, "data"), "mount_cached")["sequential_upload"] === true;
  const { isReadOnly: _, ...preset } = presetOf(spec);
  return {
    ...(isSequential ? { transfers: 1 } : {}),
    ...preset,
    ...number("transfers", own["transfers"]),
    ...number("readChunkStreams", own["vfs_read_chunk_streams"]),
    ...text("bufferSize", own["buffer_size"]),
    ...text("maxSize", own["vfs_cache_max_size"]),
    ...text("maxAge", own["vfs_cache_max_age"]),
    ...text("readAhead", own["vfs_read_ahead"]),
    ...text("readChunkSize", own["vfs_read_chunk_size"]),
    ...text("writeBack", own["vfs_write_back"]),
  };
}

function presetOf(spec: StorageSpec | undefined): MountCache & { readonly isReadOnly: boolean } {
  return PRESETS[spec?.type ?? ""] ?? { isReadOnly: false };
}

function sectionOf(fields: Fields | undefined, name: string): Fields {
  const section = fields?.[name];
  return typeof section === "object" && section !== null ? (section as Fields) : {};
}

function number<K extends string>(key: K, value: unknown): { readonly [P in K]?: number } {
  return value === undefined ? {} : ({ [key]: Number(value) } as { readonly [P in K]?: number });
}

function text<K extends string>(key: K, value: unknown): { readonly [P in K]?: string } {
  // A number of the task file counts in rclone's own unit.
  const written = typeof value === "number" ? String(value) : value;
  return typeof written === "string" ? ({ [key]: written } as { readonly [P in K]?: string }) : {};
}
