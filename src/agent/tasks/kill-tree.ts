import { constants } from "node:os";
import { hasInEnvironment, ignoresSignal, listProcesses, type ProcessEntry } from "../node/proc.ts";
import type { Clock } from "../../shared/clock.ts";

const { SIGTERM } = constants.signals;

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
  /** Processes that are known now to belong to the task. */
  readonly roots: () => readonly number[];
  /** Time between TERM and KILL. */
  readonly graceMs: number;
  readonly clock: Clock;
}

/** Ends a task's processes: TERM, then KILL to what is left after the grace period. Resolves when none is left. */
export async function killTree(options: KillTreeOptions): Promise<void> {
  const { marker, roots, graceMs, clock } = options;
  const deadline = clock.now() + graceMs;
  const termed = new Set<number>();
  let members = findTree(marker, new Set(roots()));
  let gapMs = 5;
  while (members.length > 0) {
    if (clock.now() >= deadline) for (const { pid } of members) send(pid, "SIGKILL");
    else for (const { pid } of members) sendTermOnce(pid, termed);
    await clock.sleep(gapMs);
    gapMs = Math.min(gapMs * 2, 100);
    // Members stay members after they moved away from the marker: a known pid that is still there is a root of the next look.
    members = findTree(marker, new Set([...roots(), ...members.map((entry) => entry.pid)]));
  }
}

/**
 * A program gets TERM once: a second one could cut its clean-up short. One that ignores TERM is asked again later, because a bash that
 * is still starting does so until it comes to the trap in front of the user's script.
 */
function sendTermOnce(pid: number, termed: Set<number>): void {
  if (termed.has(pid) || ignoresSignal(pid, SIGTERM)) return;
  termed.add(pid);
  send(pid, "SIGTERM");
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // ESRCH: it went by itself. EPERM: a set-uid child that its parent has to end.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ESRCH" && code !== "EPERM") throw error;
  }
}
