import type { SkyClient } from "./sky-client.ts";

/** A task that is ready for the wire: YAML documents, and the local paths that a remote server needs. */
export interface TaskDocument {
  readonly kind: "document";
  /** Normalised YAML: a `name:` document, then one document per task. */
  readonly yaml: string;
  /** Absolute local paths of workdirs and file mounts. */
  readonly localPaths: readonly string[];
}

export type TaskInput = TaskDocument | string | Readonly<Record<string, unknown>>;

interface PrepareOptions {
  readonly workdirOnly?: boolean;
  readonly dryrun?: boolean;
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface PreparedTask {
  readonly task: string;
  readonly file_mounts_blob_id?: string;
}

/** Makes the wire form of a task. */
export async function prepareTask(
  _client: SkyClient,
  input: TaskInput,
  _options: PrepareOptions,
): Promise<PreparedTask> {
  if (typeof input === "object" && input["kind"] === "document") return { task: (input as TaskDocument).yaml };
  throw new Error("not yet");
}
