import { listProcesses, type ProcessEntry } from "../node/proc.ts";

/** Device numbers of /dev/pts/*: major 136…143. */
function isPseudoTerminal(tty: number): boolean {
  const major = (tty >> 8) & 0xfff;
  return major >= 136 && major <= 143;
}

const SSH_SERVERS = new Set(["sshd", "sshd-session", "sshd-auth", "dropbear"]);

/** Whether somebody is logged in: a process on a pseudo terminal that descends from an SSH server. Looks afresh each time. */
export function hasTerminal(processes: readonly ProcessEntry[] = listProcesses()): boolean {
  const byPid = new Map(processes.map((entry) => [entry.pid, entry]));
  return processes.some((entry) => isPseudoTerminal(entry.tty) && descendsFromSsh(entry, byPid));
}

function descendsFromSsh(entry: ProcessEntry, byPid: ReadonlyMap<number, ProcessEntry>): boolean {
  let current: ProcessEntry | undefined = entry;
  // Processes come and go while they are listed: a loop of parents must not trap us.
  for (let depth = 0; depth < 1000 && current !== undefined; depth += 1) {
    if (SSH_SERVERS.has(current.command)) return true;
    current = byPid.get(current.parent);
  }
  return false;
}
