import { readFileSync, rmSync } from "node:fs";
import { writeFileAtomic } from "./atomic-file.ts";
import { isSameProcess, processStartTime } from "./process-identity.ts";

/** Content of `~/.sky/ts/server.pid`: which process is the local API server. */
export interface ServerIdentity {
  readonly pid: number;
  /** See processStartTime; undefined on machines without /proc. */
  readonly startTime: number | undefined;
  readonly port: number;
}

/** Reads the file; undefined when there is none, it is damaged, or its process is gone. */
export function findRunningServer(path: string): ServerIdentity | undefined {
  const identity = readIdentity(path);
  return identity !== undefined && isSameProcess(identity.pid, identity.startTime) ? identity : undefined;
}

/** Whether a server wrote the file and did not remove it: it runs, or it died without a shutdown. */
export function hasServerLeftTraces(path: string): boolean {
  return readIdentity(path) !== undefined;
}

/** Written by the server when it listens. */
export function writeServerPidFile(path: string, port: number): void {
  const content = { pid: process.pid, start_time: processStartTime(process.pid) ?? null, port };
  writeFileAtomic(path, `${JSON.stringify(content)}\n`, { mode: 0o600, directoryMode: 0o700 });
}

/** Removes the file when it names this process. */
export function removeServerPidFile(path: string): void {
  if (readIdentity(path)?.pid === process.pid) rmSync(path, { force: true });
}

function readIdentity(path: string): ServerIdentity | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    const value = JSON.parse(text) as { pid?: unknown; start_time?: unknown; port?: unknown };
    if (typeof value.pid !== "number" || typeof value.port !== "number") return undefined;
    return {
      pid: value.pid,
      startTime: typeof value.start_time === "number" ? value.start_time : undefined,
      port: value.port,
    };
  } catch {
    return undefined;
  }
}
