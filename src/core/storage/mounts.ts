import { basename } from "node:path";
import { uriOf } from "../../shared/bucket-uri.ts";
import { NotAvailableYetError, StorageSpecError } from "../../shared/errors.ts";
import { AVAILABLE_SOURCES, isAzureUri, isCloudUri, isWebUri, requireKnownScheme } from "../task/cloud-uri.ts";
import type { StorageSpec, Task } from "../task/task.ts";
import type { StoreType } from "../ports/object-store.ts";
import type { ChosenStores } from "./choose-store.ts";

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

/** Whether something is copied to the nodes that is not simply local. */
export function hasCopies(task: Pick<Task, "fileMounts" | "storageMounts">): boolean {
  return remoteMounts(task).some((mount) => mount.kind === "web" || !isMounted(mount));
}

/** A file on the web. */
export interface WebMount {
  readonly kind: "web";
  readonly dest: string;
  readonly uri: string;
  /** The same for people and logs, without what may be the right to read it. */
  readonly shown: string;
}

export type RemoteMount = BucketMount | WebMount;

/**
 * Every mount of a task whose content is not simply local, in the task's order. `chosen` says where the buckets are of storage objects that
 * name no store. Throws NotAvailableYetError for what comes later.
 */
export function remoteMounts(
  task: Pick<Task, "fileMounts" | "storageMounts">,
  chosen: ChosenStores = new Map(),
): readonly RemoteMount[] {
  const uris = Object.entries(task.fileMounts).filter(([, source]) => isCloudUri(source));
  const storages = Object.entries(task.storageMounts).map(([dest, spec]) => toStorageMount(dest, spec, chosen));
  return [...uris.map(([dest, uri]) => toUriMount(dest, uri)), ...keptAlike(storages)];
}

/** A bucket that a task has at several places persists when one of these says so. */
function keptAlike(mounts: readonly RemoteMount[]): readonly RemoteMount[] {
  const kept = new Set(mounts.map((mount) => (mount.kind === "bucket" && mount.persistent ? mount.name : undefined)));
  return mounts.map((mount) =>
    mount.kind === "bucket" && mount.name !== undefined && kept.has(mount.name)
      ? { ...mount, persistent: true }
      : mount,
  );
}

/** Whether the task only copies what is there already. */
export function isOnlyRead(mount: BucketMount): boolean {
  return mount.name === undefined && !isMounted(mount);
}

function toUriMount(dest: string, uri: string): RemoteMount {
  requireKnownScheme(uri);
  if (isWebUri(uri)) return { kind: "web", dest, uri, shown: shownUrl(uri) };
  return { kind: "bucket", dest, ...placeOf(uri), uri, sources: [], persistent: true };
}

/** A signature may stand in the query, a password before the host. */
function shownUrl(uri: string): string {
  return uri
    .replace(/^(https?:\/\/)[^/?#@]*@/iu, "$1")
    .replace(/#.*$/su, "")
    .replace(/\?.*$/su, "?…");
}

function toStorageMount(dest: string, spec: StorageSpec, chosen: ChosenStores): RemoteMount {
  if (typeof spec.source === "string" && isCloudUri(spec.source)) {
    const mount = toUriMount(dest, spec.source);
    if (mount.kind === "web") return mount;
    if (spec.store !== undefined && spec.store !== mount.store) throw noTransfer(mount.store, spec.store);
    return { ...mount, persistent: spec.persistent, spec };
  }
  if (spec.name === undefined) throw new StorageSpecError("Storage name must be specified if the source is local.");
  const internal = spec.internal["_bucket_sub_path"];
  const subPath = typeof internal === "string" ? trimSlashes(internal) : "";
  const store = storeOf(spec.store ?? chosen.get(spec.name) ?? "S3");
  return {
    kind: "bucket",
    dest,
    store,
    bucket: spec.name,
    prefix: subPath,
    uri: uriOf({ scheme: store.toLowerCase(), bucket: spec.name, prefix: subPath }),
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

/** Throws InvalidValueError, StorageSpecError and NotAvailableYetError. */
function placeOf(uri: string): Pick<BucketMount, "store" | "bucket" | "prefix"> {
  if (isAzureUri(uri)) throw notAvailable("azure", AZURE_HINT);
  const [, scheme = "", bucket = "", rest = ""] = /^([a-z0-9]+):\/\/([^/]*)(.*)$/u.exec(uri) ?? [];
  if (bucket === "") throw new StorageSpecError(`'${uri}' names no bucket.`);
  return { store: storeOf(scheme), bucket, prefix: trimSlashes(rest) };
}

/** By scheme or by `store:`; of those that are there both are the same. */
function storeOf(name: string): StoreType {
  const type = name.toUpperCase();
  if (type === "S3" || type === "R2") return type;
  throw notAvailable(name.toLowerCase());
}

const AZURE_HINT =
  "What is in Azure is copied by a URL that is signed (a SAS token: …?…&sig=…), file by file; what is public can be fetched by `curl` in `setup`.";

function notAvailable(store: string, hint = `Available are ${AVAILABLE_SOURCES}.`): NotAvailableYetError {
  return new NotAvailableYetError(`Buckets of '${store}' are not available in this version.`, { hint });
}

function noTransfer(from: StoreType, to: string): NotAvailableYetError {
  return new NotAvailableYetError(`Transfer from ${from.toLowerCase()} to ${to.toLowerCase()} is not yet supported.`, {
    hint: "Leave out `store:` to use the bucket where it is.",
  });
}

function trimSlashes(path: string): string {
  return path.replace(/^\/+|\/+$/gu, "");
}
