/** Checks that need the whole task but nothing of the outside world: what both client and server run before work starts. */

import { InvalidValueError, StorageSpecError } from "../../shared/errors.ts";
import { isCloudUri } from "./cloud-uri.ts";
import type { Dag, StorageSpec, Task } from "./task.ts";

const TASK_NAME = /^[a-zA-Z0-9]+(?:[._-]{1,2}[a-zA-Z0-9]+)*$/;
const WORKDIR_ON_NODE = "~/sky_workdir";
const SUB_PATH = /^[a-zA-Z0-9._-][a-zA-Z0-9./_-]*$/;
const URI_PREFIXES = ["s3", "gs", "r2", "cos", "oci", "nebius", "cw", "vastdata", "hf", "https"];

/** @throws InvalidValueError, StorageSpecError */
export function validateDag(dag: Dag): void {
  for (const task of dag.tasks) validateTask(task);
}

export function validateTask(task: Task): void {
  if (task.name !== undefined && !TASK_NAME.test(task.name))
    throw new InvalidValueError(
      `Invalid task name ${task.name}. Valid name: ASCII characters and may contain lowercase and uppercase letters, digits, ` +
        "underscores, periods, and dashes. Must start and end with alphanumeric characters. No triple dashes or underscores.",
    );
  for (const [destination, source] of Object.entries(task.fileMounts))
    validateMount(destination, source, task.workdir !== undefined);
  for (const storage of Object.values(task.storageMounts)) validateStorage(storage);
  for (const [path, volume] of Object.entries(task.volumes)) validateVolume(path, volume);
}

function validateMount(destination: string, source: string, hasWorkdir: boolean): void {
  if (isCloudUri(destination)) throw new InvalidValueError("File mount destination paths cannot be cloud storage");
  const slashed = [destination, source].find((path) => path.endsWith("/"));
  if (slashed !== undefined)
    throw new InvalidValueError(
      `Mount paths cannot end with a slash Found: ${slashed} in file_mounts.${destination}: ${source}`,
    );
  if (hasWorkdir && destination === WORKDIR_ON_NODE)
    throw new InvalidValueError(
      `Cannot use '${WORKDIR_ON_NODE}' as a destination path of a file mount, as it will be used by the workdir. ` +
        "If uploading a file/folder to the workdir is needed, please specify the full path to the file/folder.",
    );
}

/** Name, source and mode of a storage object must go together. @throws StorageSpecError */
export function validateStorage({ name, source, mode, store }: StorageSpec): void {
  if (name === undefined && source === undefined)
    throw new StorageSpecError("Storage source or storage name must be specified.");
  const remote = typeof source === "string" && isCloudUri(source);
  if (source !== undefined && !remote && name === undefined)
    throw new StorageSpecError("Storage name must be specified if the source is local.");
  if (remote && name !== undefined)
    throw new StorageSpecError("Storage name should not be specified if the source is a remote URI.");
  if (mode === "COPY" && source === undefined)
    throw new StorageSpecError("New storage object: source must be specified when using COPY mode.");
  if (name !== undefined) validateBucketName(name, store);
}

function validateBucketName(name: string, store: string | undefined): void {
  const prefix = URI_PREFIXES.find((scheme) => name.startsWith(`${scheme}://`));
  if (prefix !== undefined)
    throw new StorageSpecError(
      `Prefix detected: \`name\` cannot start with ${prefix}://. If you are trying to use an existing bucket created outside of SkyPilot, ` +
        "please specify it using the `source` field (e.g. `source: s3://mybucket/`). If you are trying to create a new bucket, " +
        "please use the `store` field to specify the store type (e.g. `store: s3`).",
    );
  if (store !== undefined && store !== "S3") return;
  const problem = s3NameProblem(name);
  if (problem !== undefined) throw new StorageSpecError(`Invalid store name: name ${name} ${problem}`);
}

function s3NameProblem(name: string): string | undefined {
  if (name.length < 3 || name.length > 63) return "must be between 3 (min) and 63 (max) characters long.";
  if (!/^[a-z0-9][-a-z0-9.]*[a-z0-9]$/.test(name))
    return "can consist only of lowercase letters, numbers, dots (.), and hyphens (-). It must begin and end with a letter or number.";
  if (name.includes("..")) return "must not contain two adjacent periods.";
  if (/^\d+\.\d+\.\d+\.\d+$/.test(name)) return "must not be formatted as an IP address (for example, 192.168.5.4).";
  if (name.startsWith("xn--")) return "must not start with the prefix xn--.";
  return /-s3alias$|--ol-s3$/.test(name) ? "must not end with the suffix -s3alias or --ol-s3." : undefined;
}

function validateVolume(path: string, volume: unknown): void {
  if (!path.startsWith("/") && !path.startsWith("~"))
    throw new InvalidValueError(
      `File mount destination must be an absolute path (start with "/" or "~"). Got: '${path}' in volumes.`,
    );
  if (path.length > 1 && path.endsWith("/"))
    throw new InvalidValueError(`Mount paths cannot end with a slash Found: ${path} in volumes.`);
  const isMap = typeof volume === "object" && volume !== null && !Array.isArray(volume);
  if (typeof volume !== "string" && !isMap)
    throw new InvalidValueError(`Invalid volume config: ${JSON.stringify(volume)} is not a name or a map.`);
  const subPath = isMap ? (volume as Readonly<Record<string, unknown>>)["sub_path"] : undefined;
  if (subPath === undefined) return;
  if (typeof subPath !== "string" || !SUB_PATH.test(subPath) || subPath.split("/").includes(".."))
    throw new InvalidValueError(
      `Invalid volume mount config: ${JSON.stringify(subPath)} is no sub_path: it must be relative, without ".." and odd characters.`,
    );
}
