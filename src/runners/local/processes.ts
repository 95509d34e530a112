import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { OperationFailedError } from "../../shared/errors.ts";
import { NODE_MARKER } from "./environment.ts";

/** A process that is certainly the one meant: ids are reused, start times are not. */
export interface ProcessRef {
  readonly pid: number;
  readonly startTime: string;
}

interface ProcessEntry extends ProcessRef {
  readonly parent: number;
  readonly session: number;
  readonly isMarked: boolean;
}

const TERM_GRACE_MS = 3000;
const KILL_GRACE_MS = 5000;
const STEP_MS = 10;

/** When the process began, in the kernel's ticks; undefined when there is none (or no /proc to tell). */
function startTimeOf(pid: number): string | undefined {
  const stat = readStat(pid);
  return stat === undefined || stat.state === "Z" ? undefined : stat.startTime;
}

/**
 * Finds every live process of a node: those whose environment says that they are the node's, their descendants, and what shares a
 * session with them. Never this process or its ancestors, so that a server started inside a job does not end itself.
 */
export function findNodeProcesses(nodeDir: string): readonly ProcessRef[] {
  const all = listProcesses(nodeDir);
  const byPid = new Map(all.map((entry) => [entry.pid, entry]));
  const found = new Set(all.filter((entry) => entry.isMarked).map((entry) => entry.pid));
  const sessions = new Set([...found].map((pid) => byPid.get(pid)?.session));
  // A session leader that is not marked means that marked processes only joined a foreign session.
  for (const session of sessions) {
    if (session !== undefined && byPid.has(session) && !found.has(session)) sessions.delete(session);
  }
  for (let grew = true; grew;) {
    grew = false;
    for (const entry of all) {
      if (!found.has(entry.pid) && (found.has(entry.parent) || sessions.has(entry.session))) {
        found.add(entry.pid);
        grew = true;
      }
    }
  }
  for (let pid = process.pid; pid > 1; pid = byPid.get(pid)?.parent ?? 0) found.delete(pid);
  return all.filter((entry) => found.has(entry.pid)).map(({ pid, startTime }) => ({ pid, startTime }));
}

/** Ends every process of the node: SIGTERM, a grace, SIGKILL. Resolves when they are gone. */
export async function endNodeProcesses(
  nodeDir: string,
  options: { readonly graceMs?: number; readonly signal: AbortSignal },
): Promise<void> {
  const { graceMs = TERM_GRACE_MS, signal } = options;
  if (await endAll(nodeDir, "SIGTERM", graceMs, signal)) return;
  if (await endAll(nodeDir, "SIGKILL", KILL_GRACE_MS, signal)) return;
  const left = findNodeProcesses(nodeDir).map((entry) => entry.pid);
  throw new OperationFailedError(`Processes ${left.join(", ")} of ${nodeDir} do not end.`, {
    hint: "They may hang in the kernel or belong to another user; end them and repeat the command.",
  });
}

async function endAll(nodeDir: string, name: NodeJS.Signals, graceMs: number, signal: AbortSignal): Promise<boolean> {
  const deadline = Date.now() + graceMs;
  const sent = new Set<string>();
  for (;;) {
    const left = findNodeProcesses(nodeDir);
    if (left.length === 0) return true;
    if (Date.now() > deadline) return false;
    for (const entry of left) {
      const key = `${entry.pid}/${entry.startTime}`;
      if (sent.has(key)) continue;
      sent.add(key);
      sendSignal(entry, name);
    }
    await delay(STEP_MS, undefined, { signal });
  }
}

function sendSignal(target: ProcessRef, name: NodeJS.Signals): void {
  if (startTimeOf(target.pid) !== target.startTime) return;
  try {
    process.kill(target.pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function listProcesses(nodeDir: string): readonly ProcessEntry[] {
  const entries: ProcessEntry[] = [];
  for (const name of readdirOrEmpty("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const stat = readStat(pid);
    if (stat === undefined || stat.state === "Z") continue;
    entries.push({ pid, ...stat, isMarked: isMarked(pid, nodeDir) });
  }
  return entries;
}

function isMarked(pid: number, nodeDir: string): boolean {
  const environment = readOrUndefined(`/proc/${pid}/environ`);
  if (environment === undefined) return false;
  // The agent passes few variables on to tasks; HOME is always the node's own.
  return [`${NODE_MARKER}=${nodeDir}`, `HOME=${nodeDir}/home`].some((one) => `\0${environment}`.includes(`\0${one}\0`));
}

interface Stat {
  readonly state: string;
  readonly parent: number;
  readonly session: number;
  readonly startTime: string;
}

function readStat(pid: number): Stat | undefined {
  const text = readOrUndefined(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The program's name may contain spaces and parentheses; the fields follow its last one.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state = "", parent = "0"] = fields;
  return { state, parent: Number(parent), session: Number(fields[3]), startTime: fields[19] ?? "" };
}

function readOrUndefined(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // Gone, or another user's.
    return undefined;
  }
}

function readdirOrEmpty(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    // No /proc on this system.
    return [];
  }
}
