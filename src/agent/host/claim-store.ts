import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { writeFileAtomic } from "../../platform/atomic-file.ts";
import { acquireFileLock } from "../../platform/lock-file.ts";
import type { HostClaim } from "../../shared/agent/host.ts";
import { OperationFailedError } from "../../shared/errors.ts";
import { nodeFolder, type HostPaths } from "./host-paths.ts";

const FILE = "claim.json";
const LOCK_RETRY_MS = 10;
const LOCK_TIMEOUT_MS = 30_000;

/** Reads every claim. One that cannot be read is an error: guessing could hand out a GPU twice. */
export function readClaims(paths: HostPaths): readonly HostClaim[] {
  let names: readonly string[];
  try {
    names = readdirSync(paths.nodes);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  return names.filter((name) => !name.startsWith(".")).flatMap((name) => readClaim(paths, name) ?? []);
}

export function readClaim(paths: HostPaths, nameOnCloud: string): HostClaim | undefined {
  const file = join(nodeFolder(paths, nameOnCloud), FILE);
  const text = readIfThere(file);
  if (text === undefined) return undefined;
  try {
    const claim = JSON.parse(text) as HostClaim;
    const ended = readEnd(claim.agentRoot);
    return ended === undefined ? claim : { ...claim, ended };
  } catch (error) {
    throw new OperationFailedError(`${file} is damaged.`, {
      cause: error,
      hint: "Remove its folder if nothing in it is needed.",
    });
  }
}

export function writeClaim(paths: HostPaths, claim: HostClaim): void {
  const file = join(nodeFolder(paths, claim.nameOnCloud), FILE);
  writeFileAtomic(file, `${JSON.stringify(claim, null, 2)}\n`, { mode: 0o600, directoryMode: 0o700 });
}

/** What the agent wrote down before it ended (autostop/power.ts). */
function readEnd(agentRoot: string): "stopped" | "down" | undefined {
  const text = readIfThere(join(agentRoot, "state.json"));
  const state = text === undefined ? undefined : (JSON.parse(text) as { readonly state?: unknown }).state;
  return state === "stopped" || state === "down" ? state : undefined;
}

/** Runs `work` while nobody else of this user changes the claims. It takes milliseconds. */
export async function withClaimsLock<T>(paths: HostPaths, work: () => T | Promise<T>): Promise<T> {
  const deadline = Date.now() + LOCK_TIMEOUT_MS;
  let lock = acquireFileLock(paths.lock);
  while (lock === undefined) {
    if (Date.now() > deadline) throw new OperationFailedError(`The lock ${paths.lock} has been held for 30 seconds.`);
    await delay(LOCK_RETRY_MS);
    lock = acquireFileLock(paths.lock);
  }
  try {
    return await work();
  } finally {
    lock.release();
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}
