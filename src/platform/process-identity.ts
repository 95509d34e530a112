import { readFileSync } from "node:fs";

/**
 * When a process started, in clock ticks since boot (field 22 of /proc/PID/stat); undefined when there is no such process or no /proc.
 * With the pid it names a process for good: pids are used again, pairs are not.
 */
export function processStartTime(pid: number): number | undefined {
  const ticks = Number(statFields(pid)?.[19]);
  return Number.isFinite(ticks) ? ticks : undefined;
}

/** The fields of /proc/PID/stat from the state (field 3) on; undefined when there is no such process or no /proc. */
function statFields(pid: number): readonly string[] | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
  // The second field is the command in parentheses and may contain anything.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

/** Whether a process with that pid exists, whoever owns it. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/**
 * Whether the pid still belongs to the process that started then. One that has ended and whose parent has not looked yet (a zombie)
 * does not count. Without /proc, only whether it is alive.
 */
export function isSameProcess(pid: number, startTime: number | undefined): boolean {
  if (!isAlive(pid)) return false;
  const state = statFields(pid)?.[0];
  if (state === "Z" || state === "X") return false;
  const now = processStartTime(pid);
  return now === undefined || startTime === undefined || now === startTime;
}
