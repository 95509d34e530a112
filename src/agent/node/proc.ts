import { readdirSync, readFileSync } from "node:fs";

/** One process as /proc shows it. */
export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** Device number of the controlling terminal; 0 = none. */
  readonly tty: number;
  /** `Z` = zombie: it only waits to be reaped. */
  readonly state: string;
  readonly command: string;
}

/** All processes that exist now. Processes that end while we look are left out. */
export function listProcesses(): ProcessEntry[] {
  const entries: ProcessEntry[] = [];
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const entry = readProcess(pid);
    if (entry !== undefined) entries.push(entry);
  }
  return entries;
}

/** Undefined when the process is gone. */
export function readProcess(pid: number): ProcessEntry | undefined {
  const stat = readProcFile(pid, "stat");
  if (stat === undefined) return undefined;
  const end = stat.lastIndexOf(")");
  const fields = stat.slice(end + 2).split(" ");
  return {
    pid,
    command: stat.slice(stat.indexOf("(") + 1, end),
    state: fields[0] ?? "",
    parent: Number(fields[1]),
    group: Number(fields[2]),
    session: Number(fields[3]),
    tty: Number(fields[4]),
  };
}

/** Whether the process was started with this variable in its environment (false for processes of others). */
export function hasInEnvironment(pid: number, assignment: string): boolean {
  const environ = readProcFile(pid, "environ");
  return environ !== undefined && `\0${environ}`.includes(`\0${assignment}\0`);
}

/** Whether a process ignores a signal (by number). */
export function ignoresSignal(pid: number, signal: number): boolean {
  const mask = /^SigIgn:\s*([0-9a-f]+)/m.exec(readProcFile(pid, "status") ?? "")?.[1] ?? "0";
  return ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n;
}

/** How many files this process may have open. */
export function readOpenFilesLimit(): number {
  const soft = /^Max open files\s+(\d+)/m.exec(readProcFile(process.pid, "limits") ?? "")?.[1];
  return soft === undefined ? 1024 : Number(soft);
}

/** Identifies the current boot of the machine. */
export function readBootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

function readProcFile(pid: number, name: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "latin1");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH" || code === "EACCES" || code === "EPERM") return undefined;
    throw error;
  }
}
