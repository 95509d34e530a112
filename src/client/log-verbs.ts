import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { skyPaths } from "../platform/paths.ts";
import { LogStream } from "./log-stream.ts";
import { requestIdOf, submit, type WaitOptions } from "./operations.ts";
import { Request } from "./request.ts";
import { resumableEvents, type OpenedStream } from "./resumable-stream.ts";
import type { SkyClient } from "./sky-client.ts";

export interface LogOptions extends WaitOptions {
  readonly follow?: boolean;
  /** The last N lines; 0 for all. */
  readonly tail?: number;
}

export interface ProvisionLogOptions extends LogOptions {
  /** 1, 2, ...; the head without it. */
  readonly worker?: number;
}

export interface HookLogOptions extends LogOptions {
  readonly event?: "stop" | "preemption" | "down";
}

export interface DownloadOptions extends WaitOptions {
  readonly jobIds?: readonly string[];
  /** Where the logs go (`~/sky_logs`). */
  readonly directory?: string;
}

export function jobLogs(
  client: SkyClient,
  cluster: string,
  options: LogOptions & { readonly jobId?: number | undefined },
): LogStream {
  const { session } = client;
  let requestId: string | undefined;
  let jobId = options.jobId ?? null;
  const open = async (resumeAt: number | undefined): Promise<OpenedStream> => {
    const json = client.body({
      cluster_name: cluster,
      job_id: jobId,
      follow: options.follow ?? true,
      tail: options.tail ?? 0,
      log_offset: resumeAt ?? -1,
    });
    // The first call may start a local server; a later one only reconnects.
    const answer = await session.call("POST", "/logs", {
      json,
      direct: requestId !== undefined,
      // Asking twice for a log changes nothing.
      repeatable: true,
      signal: options.signal,
    });
    requestId = requestIdOf(answer.headers, session.endpoint.url);
    const streamed = Number(answer.headers["x-skypilot-job-id"]);
    if (Number.isInteger(streamed) && streamed > 0) jobId = streamed;
    const startsAt = answer.headers["x-skypilot-log-offset"];
    return { answer, startsAt: typeof startsAt === "string" ? Number(startsAt) : undefined };
  };
  const exitCode = async (): Promise<number> => {
    const code = await new Request<unknown>({
      session,
      name: "sky.logs",
      id: Promise.resolve(requestId ?? ""),
      decode: (value) => value,
      signal: options.signal,
    });
    return typeof code === "number" ? code : 0;
  };
  return new LogStream(() => resumableEvents(session, open, options.signal), exitCode);
}

export function provisionLogs(client: SkyClient, cluster: string, options: ProvisionLogOptions): LogStream {
  const { session } = client;
  let opened = false;
  const open = async (): Promise<OpenedStream> => {
    const answer = await session.call("POST", "/provision_logs", {
      json: client.body({ cluster_name: cluster, worker: options.worker ?? null }),
      query: { follow: options.follow === false ? "False" : "True", tail: options.tail ?? 0 },
      direct: opened,
      repeatable: true,
      signal: options.signal,
    });
    opened = true;
    return { answer, startsAt: undefined };
  };
  return new LogStream(
    () => resumableEvents(session, open, options.signal),
    () => Promise.resolve(0),
  );
}

export function hookLogs(client: SkyClient, cluster: string, options: HookLogOptions): LogStream {
  const body = client.body({
    cluster_name: cluster,
    event: options.event ?? null,
    follow: options.follow ?? true,
    tail: options.tail ?? 0,
  });
  const request = submit<unknown>(client.session, "/hook_logs", body, { name: "sky.hook_logs", ...options });
  return new LogStream(
    () => request.events(),
    async () => {
      const code = await request;
      return typeof code === "number" ? code : 0;
    },
  );
}

export async function downloadLogs(
  client: SkyClient,
  cluster: string,
  options: DownloadOptions,
): Promise<ReadonlyMap<string, string>> {
  const { home } = client.session.options;
  const directory = options.directory ?? skyPaths(home).logs;
  const body = client.body({
    cluster_name: cluster,
    job_ids: options.jobIds === undefined || options.jobIds.length === 0 ? null : options.jobIds,
    local_dir: directory,
  });
  const remote = await submit<Readonly<Record<string, string>>>(client.session, "/download_logs", body, {
    name: "sky.download_logs",
    ...options,
  });
  const folders = Object.entries(remote);
  if (folders.length === 0) return new Map();
  mkdirSync(directory, { recursive: true });
  const { downloadFolders } = await import("./download.ts");
  const local = await downloadFolders(client, {
    folders: folders.map(([, folder]) => folder),
    directory,
    signal: options.signal,
  });
  return new Map(folders.map(([id, folder]) => [id, local.get(folder) ?? join(directory, id)]));
}
