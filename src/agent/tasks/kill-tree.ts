import { hasInEnvironment, listProcesses, type ProcessEntry } from "../node/proc.ts";
import type { Clock } from "../../shared/clock.ts";

/** Finds what belongs to a task, also after it forked twice, left its session or cleared its environment. */
export function findTree(marker: string, roots: ReadonlySet<number>): ProcessEntry[] {
  const all = listProcesses().filter((entry) => entry.pid !== process.pid);
  const members = new Map<number, ProcessEntry>();
  for (const entry of all)
    if (roots.has(entry.pid) || hasInEnvironment(entry.pid, marker)) members.set(entry.pid, entry);
  // Whoever shares the session of a member, or descends from one, came from the task: tasks start in sessions of their own.
  for (let size = -1; size !== members.size;) {
    size = members.size;
    const sessions = new Set(Array.from(members.values(), (entry) => entry.session));
    sessions.delete(0);
    for (const entry of all) {
      if (members.has(entry.parent) || sessions.has(entry.session)) members.set(entry.pid, entry);
    }
  }
  return [...members.values()].filter((entry) => entry.state !== "Z");
}

export interface KillTreeOptions {
  /** `NAME=value` that every process of the task was started with. */
  readonly marker: string;
  /** Processes that are known to belong to the task. */
  readonly roots: readonly number[];
  /** Time between TERM and KILL. */
  readonly graceMs: number;
  readonly clock: Clock;
}

/** Ends a task's processes: TERM, then KILL to what is left after the grace period. Resolves when none is left. */
export async function killTree(options: KillTreeOptions): Promise<void> {
  const { marker, graceMs, clock } = options;
  let members = findTree(marker, new Set(options.roots));
  const deadline = clock.now() + graceMs;
  signalAll(members, graceMs > 0 ? "SIGTERM" : "SIGKILL");
  let gapMs = 5;
  while (members.length > 0) {
    await clock.sleep(gapMs);
    gapMs = Math.min(gapMs * 2, 100);
    // Members stay members after they moved away from the marker: a known pid that is still there is a root of the next look.
    members = findTree(marker, new Set(members.map((entry) => entry.pid)));
    if (clock.now() >= deadline) signalAll(members, "SIGKILL");
  }
}

function signalAll(members: readonly ProcessEntry[], signal: NodeJS.Signals): void {
  for (const { pid } of members) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      // ESRCH: it went by itself. EPERM: a set-uid child that its parent has to end.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ESRCH" && code !== "EPERM") throw error;
    }
  }
}
