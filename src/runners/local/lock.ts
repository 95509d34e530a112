import { setTimeout as delay } from "node:timers/promises";
import { acquireFileLock } from "../../platform/lock-file.ts";
import { OperationFailedError } from "../../shared/errors.ts";

const RETRY_MS = 5;
const TIMEOUT_MS = 10_000;

/** Runs `work` while this process is the only one that changes the allocations. The critical sections take milliseconds. */
export async function withFileLock<T>(path: string, signal: AbortSignal, work: () => T | Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const deadline = Date.now() + TIMEOUT_MS;
  let lock = acquireFileLock(path);
  while (lock === undefined) {
    if (Date.now() > deadline) {
      throw new OperationFailedError(`The lock file ${path} has been held for ${TIMEOUT_MS / 1000} seconds.`, {
        hint: "Another SkyPilot server uses the same home directory; stop it and repeat the command.",
      });
    }
    await delay(RETRY_MS, undefined, { signal });
    lock = acquireFileLock(path);
  }
  try {
    return await work();
  } finally {
    lock.release();
  }
}
