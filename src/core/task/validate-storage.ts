/** Storage objects of a task: what can be told of them without asking anybody. */

import {
  InvalidValueError,
  StorageModeError,
  StorageNameError,
  StorageSourceError,
  StorageSpecError,
} from "../../shared/errors.ts";
import { pathBelow, placeOnNode } from "./place-on-node.ts";
import { hasUnknownScheme, isCloudUri, isWebUri } from "./cloud-uri.ts";
import type { StorageSpec, Task } from "./task.ts";

const URI_PREFIXES = ["s3", "gs", "r2", "cos", "oci", "nebius", "cw", "vastdata", "hf", "https"];
const SOURCES = "local, s3://, gs://, https://, r2://, cos://, oci://, nebius://, cw://, vastdata://, hf://";

type Mounts = Pick<Task, "fileMounts" | "storageMounts">;

/** @throws InvalidValueError, StorageSpecError */
export function validateStorages(task: Mounts): void {
  for (const [destination, storage] of Object.entries(task.storageMounts)) {
    validateDestination(destination);
    validateStorage(storage);
  }
  refuseCopiesIntoMounts(task);
}

function validateDestination(destination: string): void {
  if (destination === "") throw new InvalidValueError("Storage mount path cannot be empty.");
  if (isCloudUri(destination)) throw new InvalidValueError("Storage mount destination path cannot be cloud storage");
  if (/^\/+$/u.test(destination)) throw new InvalidValueError("A storage cannot be mounted at / itself.");
}

/** Name, source and mode of a storage object must go together. */
function validateStorage({ name, source, mode, store }: StorageSpec): void {
  if ((name ?? "") === "" && source === undefined)
    throw new StorageSpecError("Storage source or storage name must be specified.");
  if (typeof source === "string") validateSource(source, mode);
  const isRemote = typeof source === "string" && isCloudUri(source);
  if (source !== undefined && !isRemote && (name ?? "") === "")
    throw new StorageNameError("Storage name must be specified if the source is local.");
  if (isRemote && name !== undefined)
    throw new StorageSpecError("Storage name should not be specified if the source is a remote URI.");
  if (name !== undefined) validateBucketName(name, store);
}

function validateSource(source: string, mode: StorageSpec["mode"]): void {
  if (hasUnknownScheme(source)) throw new StorageSourceError(`Supported paths: ${SOURCES}. Got: ${source}`);
  if (isWebUri(source) && mode !== "COPY")
    throw new StorageModeError(`${source} is a file of the web, which cannot be mounted.`, { hint: "Use mode: COPY." });
}

function validateBucketName(name: string, store: string | undefined): void {
  const prefix = URI_PREFIXES.find((scheme) => name.startsWith(`${scheme}://`));
  if (prefix !== undefined)
    throw new StorageNameError(
      `Prefix detected: \`name\` cannot start with ${prefix}://. If you are trying to use an existing bucket created outside of SkyPilot, ` +
        "please specify it using the `source` field (e.g. `source: s3://mybucket/`). If you are trying to create a new bucket, " +
        "please use the `store` field to specify the store type (e.g. `store: s3`).",
    );
  if (store !== undefined && store !== "S3" && store !== "R2") return;
  const problem = s3NameProblem(name) ?? (store === "R2" && name.includes(".") ? NO_DOTS : undefined);
  if (problem !== undefined) throw new StorageNameError(`Invalid store name: name ${name} ${problem}`);
}

/** Of S3's names R2 takes those without dots. */
const NO_DOTS = "must not contain dots (.): R2 knows letters, numbers and hyphens (-) alone.";

function s3NameProblem(name: string): string | undefined {
  if (name.length < 3 || name.length > 63) return "must be between 3 (min) and 63 (max) characters long.";
  if (!/^[a-z0-9][-a-z0-9.]*[a-z0-9]$/.test(name))
    return "can consist only of lowercase letters, numbers, dots (.), and hyphens (-). It must begin and end with a letter or number.";
  if (name.includes("..")) return "must not contain two adjacent periods.";
  if (/^\d+\.\d+\.\d+\.\d+$/.test(name)) return "must not be formatted as an IP address (for example, 192.168.5.4).";
  if (name.startsWith("xn--")) return 'must not start with the prefix "xn--".';
  const suffix = ["-s3alias", "--ol-s3"].find((one) => name.endsWith(one));
  return suffix === undefined ? undefined : `must not end with the suffix "${suffix}".`;
}

/** What would be copied into a mount fills the mount path before it is there, or the bucket afterwards. */
function refuseCopiesIntoMounts({ fileMounts, storageMounts }: Mounts): void {
  const isMounted = ([, { mode }]: readonly [string, StorageSpec]): boolean => mode !== "COPY";
  const storages = Object.entries(storageMounts);
  const mounts = storages.filter(isMounted).map(([destination]) => destination);
  const copies = [...Object.keys(fileMounts), ...storages.filter((one) => !isMounted(one)).map(([to]) => to)];
  for (const mount of mounts) {
    const inside = copies.find((copy) => restBelow(copy, mount) !== undefined);
    if (inside === undefined) continue;
    const lies = restBelow(inside, mount) === "" ? "is the same place as" : "lies inside of";
    throw new InvalidValueError(
      `${inside} ${lies} ${mount}, where a bucket is mounted: what is copied there would have to be in the bucket.`,
      { hint: "Copy it to another place, or put it into the bucket." },
    );
  }
}

function restBelow(copy: string, mount: string): string | undefined {
  return pathBelow(placeOnNode(copy), placeOnNode(mount));
}
