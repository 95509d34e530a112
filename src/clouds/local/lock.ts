import { closeSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { OperationFailedError } from "../../shared/errors.ts";
import { startTimeOf } from "./processes.ts";

const RETRY_MS = 5;
const TIMEOUT_MS = 10_000;
/** A lock file without content is younger than this while its owner writes it. */
const EMPTY_GRACE_MS = 1000;

/**
 * Runs `work` while this process is the only one that changes the allocations. The critical sections take milliseconds. A lock
 * whose owner died is taken over: the file names the owner by process id and start time.
 */
export async function withFileLock<T>(path: string, signal: AbortSignal, work: () => T | Promise<T>): Promise<T> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const deadline = Date.now() + TIMEOUT_MS;
  while (!tryLock(path)) {
    if (Date.now() > deadline) {
      throw new OperationFailedError(`The lock file ${path} has been held for ${TIMEOUT_MS / 1000} seconds.`, {
        hint: "Another SkyPilot server uses the same home directory; stop it, or remove the file when there is none.",
      });
    }
    await delay(RETRY_MS, undefined, { signal });
  }
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
  }
}

function tryLock(path: string): boolean {
  try {
    const file = openSync(path, "wx", 0o600);
    writeSync(file, JSON.stringify({ pid: process.pid, startTime: startTimeOf(process.pid) ?? null }));
    closeSync(file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    if (isAbandoned(path)) rmSync(path, { force: true });
    return false;
  }
}

function isAbandoned(path: string): boolean {
  try {
    const text = readFileSync(path, "utf8");
    if (text === "") return Date.now() - statSync(path).mtimeMs > EMPTY_GRACE_MS;
    const owner = JSON.parse(text) as { readonly pid: number; readonly startTime: string | null };
    return startTimeOf(owner.pid) !== (owner.startTime ?? undefined);
  } catch (error) {
    // Gone in between, or half written: look again.
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}
