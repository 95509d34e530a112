/** Checks that need the whole task but nothing of the outside world: what both client and server run before work starts. */

import { InvalidValueError } from "../../shared/errors.ts";
import { isCloudUri, requireKnownScheme } from "./cloud-uri.ts";
import type { Dag, Task } from "./task.ts";
import { validateStorages } from "./validate-storage.ts";
import { WORKDIR_ON_NODE } from "./workdir-on-node.ts";

const TASK_NAME = /^[a-zA-Z0-9]+(?:[._-]{1,2}[a-zA-Z0-9]+)*$/;
const SUB_PATH = /^[a-zA-Z0-9._-][a-zA-Z0-9./_-]*$/;

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
  for (const [destination, source] of Object.entries(task.fileMounts)) validateMount(destination, source);
  if (task.workdir !== undefined) keepForWorkdir([...Object.keys(task.fileMounts), ...Object.keys(task.storageMounts)]);
  validateStorages(task);
  for (const [path, volume] of Object.entries(task.volumes)) validateVolume(path, volume);
}

function validateMount(destination: string, source: string): void {
  if (isCloudUri(destination)) throw new InvalidValueError("File mount destination paths cannot be cloud storage");
  requireKnownScheme(source);
  const slashed = [destination, source].find((path) => path.endsWith("/"));
  if (slashed !== undefined)
    throw new InvalidValueError(
      `Mount paths cannot end with a slash Found: ${slashed} in file_mounts.${destination}: ${source}`,
    );
}

function keepForWorkdir(destinations: readonly string[]): void {
  if (destinations.includes(WORKDIR_ON_NODE))
    throw new InvalidValueError(
      `Cannot use '${WORKDIR_ON_NODE}' as a destination path of a file mount, as it will be used by the workdir. ` +
        "If uploading a file/folder to the workdir is needed, please specify the full path to the file/folder.",
    );
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
