/** Storage objects in `file_mounts`. */

import { checkSchema } from "../../shared/config/schema-report.ts";
import type { Schema } from "../../shared/config/json-schema.ts";
import {
  atLeast,
  BOOLEAN,
  either,
  object,
  openObject,
  pattern,
  STRING,
  STRINGS,
  word,
} from "../../shared/config/schema-parts.ts";
import { valueError } from "../../shared/config/value-error.ts";
import { StorageSpecError } from "../../shared/errors.ts";
import { child, isString, plainOf, withoutNulls, type YamlMapping, type YamlNode } from "../../shared/yaml-node.ts";
import type { StorageMode, StorageSpec } from "./task.ts";

const RCLONE_SIZE = pattern("^[0-9]+(b|k|m|g|t|p|B|K|M|G|T|P)?$");
const RCLONE_DURATION = pattern(
  String.raw`^(?:(?:[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:ms|[smhdwMy]))+|([-+]?(?:\d+(?:\.\d+)?|\.\d+)))$`,
);

const STORES = ["S3", "GCS", "AZURE", "R2", "IBM", "OCI", "NEBIUS", "COREWEAVE", "VASTDATA", "HF", "VOLUME"];
const INTERNAL_KEYS = ["_is_sky_managed", "_bucket_sub_path", "_force_delete"];

function storageSchema(): Schema {
  return object({
    name: STRING,
    source: either(STRING, { ...STRINGS, minItems: 1 }),
    store: word(...STORES),
    persistent: BOOLEAN,
    mode: word("MOUNT", "COPY", "MOUNT_CACHED"),
    type: word("MODEL_CHECKPOINT_RO", "MODEL_CHECKPOINT_RW", "DATASET_RO", "DATASET_RW"),
    config: openObject({
      mount: object({ read_only: BOOLEAN, hf_mount_args: STRINGS }),
      mount_cached: object({
        transfers: atLeast(1),
        buffer_size: RCLONE_SIZE,
        vfs_cache_max_size: RCLONE_SIZE,
        vfs_cache_max_age: RCLONE_DURATION,
        vfs_read_ahead: RCLONE_SIZE,
        vfs_read_chunk_size: RCLONE_SIZE,
        vfs_read_chunk_streams: atLeast(0),
        vfs_write_back: RCLONE_DURATION,
        read_only: BOOLEAN,
      }),
    }),
    _is_sky_managed: BOOLEAN,
    _bucket_sub_path: STRING,
    _force_delete: BOOLEAN,
  });
}

/** @throws InvalidConfigError, StorageSpecError */
export function parseStorage(node: YamlMapping, destination: string, file?: string): StorageSpec {
  const written = withoutNulls(node);
  const path = ["file_mounts", destination];
  checkSchema(written, storageSchema(), { prefix: "Invalid storage YAML: ", file, at: path });
  const mode = (textOf(written, "mode")?.toUpperCase() ?? "MOUNT") as StorageMode;
  const type = textOf(written, "type")?.toUpperCase();
  const config = configOf(child(written, "config"));
  const problem = modeProblem(mode, type, config);
  if (problem !== undefined) throw new StorageSpecError(valueError(problem, { file, node, path }).message);
  const source = child(written, "source");
  const persistent = child(written, "persistent");
  return Object.freeze({
    name: textOf(written, "name"),
    source: source === undefined ? undefined : (plainOf(source) as string | readonly string[]),
    store: textOf(written, "store")?.toUpperCase(),
    persistent: persistent === undefined || plainOf(persistent) === true,
    mode,
    type,
    config,
    internal: internalOf(written),
  });
}

function textOf(node: YamlMapping, key: string): string | undefined {
  const value = child(node, key);
  return isString(value) ? value.value : undefined;
}

/** Only the parts that we know; an empty rest is no config. */
function configOf(node: YamlNode | undefined): Readonly<Record<string, unknown>> | undefined {
  const known = ["mount", "mount_cached"].flatMap((key) => {
    const value = child(node, key);
    return value === undefined ? [] : [[key, plainOf(value)] as const];
  });
  return known.length === 0 ? undefined : Object.fromEntries(known);
}

function modeProblem(
  mode: StorageMode,
  type: string | undefined,
  config: Readonly<Record<string, unknown>> | undefined,
): string | undefined {
  const only = (what: string, needed: StorageMode): string =>
    `${what} can only be specified when mode is ${needed}. Got mode=${mode}.`;
  if (type !== undefined && mode !== "MOUNT_CACHED") return only("type", "MOUNT_CACHED");
  if (config?.["mount_cached"] !== undefined && mode !== "MOUNT_CACHED")
    return only("config.mount_cached", "MOUNT_CACHED");
  return config?.["mount"] !== undefined && mode !== "MOUNT" ? only("config.mount", "MOUNT") : undefined;
}

function internalOf(node: YamlMapping): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    INTERNAL_KEYS.flatMap((key) => {
      const value = child(node, key);
      return value === undefined ? [] : [[key, plainOf(value)] as const];
    }),
  );
}

/** Whether mounting needs FUSE on the nodes. */
export function needsFuse(storage: StorageSpec): boolean {
  return storage.mode !== "COPY";
}

/** A storage object as plain data, in the printed key order. */
export function storageToValue(storage: StorageSpec): Record<string, unknown> {
  const { _is_sky_managed: managed, ...internal } = storage.internal;
  return {
    name: storage.name,
    source: storage.source,
    store: storage.store,
    ...(managed !== undefined && { _is_sky_managed: managed }),
    persistent: storage.persistent,
    mode: storage.mode,
    ...internal,
    type: storage.type,
    config: storage.config,
  };
}
