/** Local paths of a task: where they are, and whether they exist. The caller brings the file system. */

import { InvalidValueError, StorageSourceError } from "../../shared/errors.ts";
import { isCloudUri } from "./cloud-uri.ts";
import { freezePresent } from "./freeze.ts";
import type { Dag, StorageSpec, Task, Workdir } from "./task.ts";
import { validateDag } from "./validate.ts";

/** The questions that path checks ask; symbolic links are followed. */
export interface LocalFiles {
  kindOf(path: string): "file" | "directory" | undefined;
}

export interface PathOptions {
  /** Absolute; relative paths start here (not at the task file). */
  readonly cwd: string;
  readonly home: string;
  readonly files: LocalFiles;
}

/** `~` and relative paths → absolute, without `.`, `..` and doubled slashes. */
export function absolutePath(path: string, base: Pick<PathOptions, "cwd" | "home">): string {
  const expanded = path === "~" || path.startsWith("~/") ? base.home + path.slice(1) : path;
  const parts: string[] = [];
  for (const part of (expanded.startsWith("/") ? expanded : `${base.cwd}/${expanded}`).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/**
 * Validates the DAG, makes every local path of it absolute and checks that it exists, so that the user hears of a missing
 * file before anything is sent.
 * @throws InvalidValueError, StorageSpecError
 */
export function resolveTaskPaths(dag: Dag, options: PathOptions): Dag {
  validateDag(dag);
  return freezePresent<Dag>({ ...dag, tasks: dag.tasks.map((task) => resolveTask(task, options)) });
}

function resolveTask(task: Task, options: PathOptions): Task {
  const fileMounts = Object.entries(task.fileMounts).map(([to, from]) => [to, resolveMount(from, options)]);
  const storages = Object.entries(task.storageMounts).map(([to, spec]) => [to, resolveStorage(spec, options)]);
  return freezePresent<Task>({
    ...task,
    workdir: resolveWorkdir(task.workdir, options),
    fileMounts: Object.fromEntries(fileMounts) as Record<string, string>,
    storageMounts: Object.fromEntries(storages) as Record<string, StorageSpec>,
  });
}

function resolveWorkdir(workdir: Workdir | undefined, options: PathOptions): Workdir | undefined {
  if (workdir?.kind !== "dir") return workdir;
  const path = absolutePath(workdir.path, options);
  if (options.files.kindOf(path) !== "directory")
    throw new InvalidValueError(
      `Workdir must be a valid directory (or a symlink to a directory). ${workdir.path} not found.`,
    );
  return { kind: "dir", path };
}

function resolveMount(source: string, options: PathOptions): string {
  if (isCloudUri(source)) return source;
  const path = absolutePath(source, options);
  if (options.files.kindOf(path) === undefined)
    throw new InvalidValueError(
      `File mount source '${source}' does not exist locally. To fix: check if it exists, and correct the path.`,
    );
  return path;
}

function resolveStorage(spec: StorageSpec, options: PathOptions): StorageSpec {
  const { source } = spec;
  if (source === undefined) return spec;
  if (typeof source !== "string") {
    checkBasenames(source);
    return { ...spec, source: source.map((item) => resolveSource(item, options)) };
  }
  if (isCloudUri(source)) return spec;
  const path = resolveSource(source, options);
  if (options.files.kindOf(path) === "file")
    throw new StorageSourceError(
      "Storage source path cannot be a file - only directories are supported as a source. " +
        `To upload a single file, specify it in a list by writing source: [${source}]. ` +
        "Note that the file will be uploaded to the root of the bucket and will appear at <destination_path>/" +
        `${basename(source)}. Alternatively, you can directly upload the file to the VM without using a bucket by writing ` +
        `<destination_path>: ${source} in the file_mounts section of your YAML`,
    );
  return { ...spec, source: path };
}

function resolveSource(source: string, options: PathOptions): string {
  if (source.endsWith("/"))
    throw new StorageSourceError(
      'Storage source paths cannot end with a slash (try "/mydir: /mydir" or "/myfile: /myfile"). ' +
        `Found source=${source}`,
    );
  const path = absolutePath(source, options);
  if (options.files.kindOf(path) === undefined)
    throw new StorageSourceError(`Local source path does not exist: ${source}`);
  return path;
}

function basename(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function checkBasenames(sources: readonly string[]): void {
  const names = sources.map((source) => basename(source));
  const conflicts = [...new Set(names.filter((name, index) => names.indexOf(name) !== index))];
  if (conflicts.length > 0)
    throw new StorageSourceError(
      `Cannot have multiple files or directories with the same name in source. Conflicts found for: ${conflicts.join(", ")}`,
    );
}
