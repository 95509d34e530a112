import { basename } from "node:path";
import { NotAvailableYetError, StorageSpecError } from "../../shared/errors.ts";
import { isCloudUri, isWebUri } from "../task/cloud-uri.ts";
import type { StorageSpec, Task } from "../task/task.ts";
import type { StoreType } from "../ports/object-store.ts";

/** Something local that goes into a bucket first. */
export interface LocalSource {
  /** As the task has it. */
  readonly path: string;
  /** Key under which it appears; "" = its content appears at the top. */
  readonly key: string;
}

/** A bucket, or part of one, that appears on the nodes. */
export interface BucketMount {
  readonly kind: "bucket";
  readonly dest: string;
  readonly store: StoreType;
  readonly bucket: string;
  /** Without slash at either end; "" = the whole bucket. */
  readonly prefix: string;
  /** As users write it, e.g. `s3://bucket/prefix`. */
  readonly uri: string;
  readonly sources: readonly LocalSource[];
  /** `name:` of a storage object: a bucket that the product makes; undefined for one that exists. */
  readonly name?: string;
  readonly persistent: boolean;
  readonly spec?: StorageSpec;
}

/** Whether it is seen through to the bucket, instead of copied. */
export function isMounted(mount: BucketMount): boolean {
  return mount.spec !== undefined && mount.spec.mode !== "COPY";
}

/** A file on the web. */
export interface WebMount {
  readonly kind: "web";
  readonly dest: string;
  readonly uri: string;
}

export type RemoteMount = BucketMount | WebMount;

/** Every mount of a task whose content is not simply local, in the task's order. Throws NotAvailableYetError for what comes later. */
export function remoteMounts(task: Pick<Task, "fileMounts" | "storageMounts">): readonly RemoteMount[] {
  const uris = Object.entries(task.fileMounts).filter(([, source]) => isCloudUri(source));
  return [
    ...uris.map(([dest, uri]) => toUriMount(dest, uri)),
    ...Object.entries(task.storageMounts).map(([dest, spec]) => toStorageMount(dest, spec)),
  ];
}

/** Whether the task only copies what is there already. */
export function isOnlyRead(mount: BucketMount): boolean {
  return mount.name === undefined && !isMounted(mount);
}

function toUriMount(dest: string, uri: string): RemoteMount {
  if (isWebUri(uri)) return { kind: "web", dest, uri };
  return { kind: "bucket", dest, ...placeOf(uri), uri, sources: [], persistent: true };
}

function toStorageMount(dest: string, spec: StorageSpec): RemoteMount {
  if (typeof spec.source === "string" && isCloudUri(spec.source)) {
    const mount = toUriMount(dest, spec.source);
    return mount.kind === "web" ? mount : { ...mount, persistent: spec.persistent, spec };
  }
  if (spec.name === undefined) throw new StorageSpecError("Storage name must be specified if the source is local.");
  const internal = spec.internal["_bucket_sub_path"];
  const subPath = typeof internal === "string" ? trimSlashes(internal) : "";
  return {
    kind: "bucket",
    dest,
    store: storeOf(spec.store ?? "S3"),
    bucket: spec.name,
    prefix: subPath,
    uri: `s3://${[spec.name, subPath].filter((part) => part !== "").join("/")}`,
    sources: localSources(spec.source),
    name: spec.name,
    persistent: spec.persistent,
    spec,
  };
}

/** A single directory appears with its content, the items of a list under their own names. */
function localSources(source: StorageSpec["source"]): readonly LocalSource[] {
  if (source === undefined) return [];
  if (typeof source === "string") return [{ path: source, key: "" }];
  return source.map((path) => ({ path, key: basename(path) }));
}

function placeOf(uri: string): Pick<BucketMount, "store" | "bucket" | "prefix"> {
  const [, scheme = "", bucket = "", rest = ""] = /^([a-z0-9]+):\/\/([^/]*)(.*)$/u.exec(uri) ?? [];
  if (bucket === "") throw new StorageSpecError(`'${uri}' names no bucket.`);
  return { store: storeOf(scheme), bucket, prefix: trimSlashes(rest) };
}

function storeOf(name: string): StoreType {
  if (name.toUpperCase() === "S3") return "S3";
  throw new NotAvailableYetError(`Buckets of '${name.toLowerCase()}' are not available in this version.`, {
    hint: "Available are s3:// and https://.",
  });
}

function trimSlashes(path: string): string {
  return path.replace(/^\/+|\/+$/gu, "");
}
