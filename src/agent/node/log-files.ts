import { readdirSync, realpathSync, statSync } from "node:fs";
import { join, sep } from "node:path";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { LogFile } from "../../shared/agent/protocol.ts";
import { readChunk } from "../logs/tail-file.ts";

/** Files below a job's log directory on this node. */
export function listJobLogFiles(jobId: number, node: number, directory: string): LogFile[] {
  let names: string[];
  try {
    names = readdirSync(directory, { recursive: true, encoding: "utf8" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  return names.sort().flatMap((path) => {
    const stats = statSync(join(directory, path), { throwIfNoEntry: false });
    return stats?.isFile() === true ? [{ jobId, node, path, size: stats.size }] : [];
  });
}

/** The real path of `path` below `directory`. Throws NOT_ALLOWED when it leads out of it, JOB_NOT_FOUND when there is none. */
export function resolveInside(directory: string, path: string): string {
  let real: string;
  let root: string;
  try {
    root = realpathSync(directory);
    real = realpathSync(join(directory, path));
  } catch (error) {
    throw new AgentPeerError("JOB_NOT_FOUND", `There is no log file ${path}.`, { cause: error });
  }
  if (real !== root && !real.startsWith(`${root}${sep}`)) {
    throw new AgentPeerError("NOT_ALLOWED", `${path} is not in the job's log directory.`);
  }
  return real;
}

/** The file's content as it is now, from an offset on. */
export async function* readToEnd(path: string, offset: number, signal: AbortSignal): AsyncGenerator<Buffer, void> {
  const { size } = statSync(path);
  let at = offset;
  while (at < size && !signal.aborted) {
    const bytes = readChunk(path, at, Math.min(256 * 1024, size - at));
    if (bytes.length === 0) return;
    at += bytes.length;
    yield bytes;
  }
}
