import { createWriteStream, mkdirSync } from "node:fs";
import { dirname, isAbsolute, join, normalize } from "node:path";
import { pipeline } from "node:stream/promises";
import type { AgentPeer } from "../../shared/agent/peer.ts";
import type { JobRecord, LogFile } from "../../shared/agent/protocol.ts";
import { AgentError } from "../../shared/errors.ts";
import type { Operation, OperationContext } from "../operation.ts";
import type { DownloadLogsBody } from "./bodies.ts";
import { requireUpCluster } from "./cluster.ts";
import { yellow } from "./messages.ts";
import { matchesGlob } from "../../shared/glob.ts";

export const downloadLogsOperation: Operation<DownloadLogsBody, Readonly<Record<string, string>>> = {
  name: "clusters.download_logs",
  wireName: "download_logs",
  schedule: "short",
  isResumable: false,
  run: runDownload,
};

/** Copies jobs' log directories from every node to the server. Returns job id → directory, with `~`. */
async function runDownload(
  body: DownloadLogsBody,
  context: OperationContext,
): Promise<Readonly<Record<string, string>>> {
  await requireUpCluster(context.db, body.cluster_name, "Downloading logs");
  context.log.line(yellow("Syncing down logs to local..."));
  const agent = await context.agents.connect(body.cluster_name, { signal: context.signal });
  const jobs = await selectJobs(body, agent, context);
  // The place from which clients fetch: their own part of the server's home.
  const root = join(".sky", "api_server", "clients", context.caller.userId, "sky_logs", body.cluster_name);
  const result: Record<string, string> = {};
  for (const job of jobs) {
    const name = job.logDir.split("/").at(-1) ?? String(job.jobId);
    const { files } = await agent.call("list_log_files", { jobIds: [job.jobId] }, { signal: context.signal });
    for (const file of files) {
      await download(agent, file, { directory: join(context.home, root, name), signal: context.signal });
    }
    result[String(job.jobId)] = `~/${join(root, name)}`;
  }
  return result;
}

async function selectJobs(
  body: DownloadLogsBody,
  agent: AgentPeer,
  context: OperationContext,
): Promise<readonly JobRecord[]> {
  const patterns = (body.job_ids ?? []).map(String);
  if (patterns.length === 0) {
    return (await agent.call("queue", { limit: 1 }, { signal: context.signal })).jobs;
  }
  const { jobs } = await agent.call("queue", {}, { signal: context.signal });
  return jobs.filter((job) => patterns.some((pattern) => matchesGlob(pattern, String(job.jobId))));
}

async function download(
  agent: AgentPeer,
  file: LogFile,
  to: { readonly directory: string; readonly signal: AbortSignal },
): Promise<void> {
  const path = normalize(file.path);
  // The name comes from a node, which anybody's task may have taken over.
  if (isAbsolute(path) || path.startsWith("..")) throw new AgentError(`The node named a bad log file: ${file.path}.`);
  const target = join(to.directory, path);
  mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
  const { jobId, node } = file;
  const stream = agent.open("read_log_file", { jobId, node, path: file.path, offset: 0 }, { signal: to.signal });
  await stream.start;
  await pipeline(stream.chunks, createWriteStream(target, { mode: 0o600 }));
  await stream.end;
}
