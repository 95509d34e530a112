import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { expandHome } from "../platform/paths.ts";
import { InvalidConfigError, InvalidValueError } from "../shared/errors.ts";
import type { SkyClient } from "./sky-client.ts";

/** A task that is ready for the wire: YAML documents, and the local paths that a remote server needs. */
export interface TaskDocument {
  readonly kind: "document";
  /** A `name:` document, then one document per task, local paths absolute. */
  readonly yaml: string;
  /** Absolute local paths of workdirs and file mounts. */
  readonly localPaths: readonly string[];
}

/** Exactly the task YAML as an object: `{ run: "echo hi", resources: { cpus: 2 } }`. */
export type TaskSpec = Readonly<Record<string, unknown>>;

/** A task: its YAML as an object, the path of a YAML file, YAML text, or a prepared document. */
export type TaskInput = TaskDocument | TaskSpec | string;

export interface PrepareOptions {
  /** Called with what an upload is doing. */
  readonly onProgress?: ((message: string) => void) | undefined;
  readonly workdirOnly?: boolean;
  /** Sends no files. */
  readonly withoutFiles?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface PreparedTask {
  readonly task: string;
  readonly file_mounts_blob_id?: string;
}

/** Makes the wire form of a task, and uploads its local files when the server is on another machine. */
export async function prepareTask(client: SkyClient, input: TaskInput, options: PrepareOptions): Promise<PreparedTask> {
  const document = isDocument(input) ? input : await toDocument(client, input, options);
  if (client.endpoint.local || options.withoutFiles === true || document.localPaths.length === 0) {
    return { task: document.yaml };
  }
  const { uploadPaths } = await import("./upload.ts");
  const blobId = await uploadPaths(client.session, document.localPaths, options);
  return { task: document.yaml, file_mounts_blob_id: blobId };
}

function isDocument(input: TaskInput): input is TaskDocument {
  return typeof input === "object" && input["kind"] === "document" && typeof input["yaml"] === "string";
}

async function toDocument(client: SkyClient, input: TaskSpec | string, options: PrepareOptions): Promise<TaskDocument> {
  const specs = typeof input === "string" ? await parseText(client, input) : [input];
  const localPaths = new Set<string>();
  const header: TaskSpec = isHeader(specs[0]) && specs.length > 1 ? specs[0] : { name: specs[0]?.["name"] ?? null };
  const tasks = isHeader(specs[0]) && specs.length > 1 ? specs.slice(1) : specs;
  const prepared = tasks.map((spec) => withAbsolutePaths(client, spec, localPaths, options));
  return { kind: "document", yaml: [header, ...prepared].map(toYaml).join("\n---\n"), localPaths: [...localPaths] };
}

/** A first document that only names the tasks after it. */
function isHeader(spec: TaskSpec | undefined): spec is TaskSpec {
  return spec !== undefined && Object.keys(spec).every((key) => key === "name");
}

async function parseText(client: SkyClient, text: string): Promise<readonly TaskSpec[]> {
  const path = resolve(client.cwd, expandHome(text, client.session.options.home));
  const isFile = !text.includes("\n") && statSync(path, { throwIfNoEntry: false })?.isFile() === true;
  if (!isFile && /^\S+\.ya?ml$/.test(text)) {
    throw new InvalidValueError(`The task file ${text} does not exist.`, { hint: "check the path" });
  }
  const { parseYamlDocuments } = await import("../shared/yaml.ts");
  const documents = parseYamlDocuments(isFile ? readFileSync(path, "utf8") : text, isFile ? { file: text } : {});
  return documents.map(({ value }) => {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as TaskSpec;
    throw new InvalidConfigError("A task has to be a map of its fields.", { hint: "for a command, use { run: ... }" });
  });
}

function withAbsolutePaths(
  client: SkyClient,
  spec: TaskSpec,
  localPaths: Set<string>,
  options: PrepareOptions,
): TaskSpec {
  const mapping: Record<string, string> = {};
  const absolute = (path: string): string => {
    const full = resolve(client.cwd, expandHome(path, client.session.options.home));
    localPaths.add(full);
    mapping[full] = full;
    return full;
  };
  const result: Record<string, unknown> = { ...spec };
  if (typeof spec["workdir"] === "string") result["workdir"] = absolute(spec["workdir"]);
  const mounts = spec["file_mounts"];
  if (typeof mounts === "object" && mounts !== null && options.workdirOnly !== true) {
    result["file_mounts"] = Object.fromEntries(
      Object.entries(mounts).map(([target, source]: [string, unknown]) => [target, mountSource(source, absolute)]),
    );
  }
  if (!client.endpoint.local && Object.keys(mapping).length > 0) result["file_mounts_mapping"] = mapping;
  return result;
}

/** A local path, or the local paths of a storage object, made absolute. */
function mountSource(source: unknown, absolute: (path: string) => string): unknown {
  const local = (path: unknown): unknown =>
    typeof path === "string" && !/^[a-z0-9]+:\/\//i.test(path) ? absolute(path) : path;
  if (typeof source !== "object" || source === null) return local(source);
  const inner: unknown = Reflect.get(source, "source");
  if (inner === undefined) return source;
  return { ...source, source: Array.isArray(inner) ? inner.map(local) : local(inner) };
}

/** JSON is YAML; characters that a YAML 1.1 reader refuses in a stream are escaped. */
function toYaml(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007F-\u009F\u2028\u2029\uFEFF\uFFFE\uFFFF]/g,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
}
