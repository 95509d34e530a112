import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { waitFor } from "./wait-for.ts";

export interface ProcessInfo {
  readonly pid: number;
  readonly argv: readonly string[];
  readonly rssKib: number;
}

function read(path: string, encoding: "utf8" | "latin1" = "utf8"): string {
  try {
    return readFileSync(path, encoding);
  } catch {
    // The process ended between the listing and the reading.
    return "";
  }
}

/** The variables that a process was started with, as one text; none of one that has ended. */
export function variablesOf(pid: number): string {
  return read(`/proc/${pid}/environ`, "latin1");
}

function workingDirectory(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return "";
  }
}

/** The first child of a process; undefined when it has none, or has ended. */
export function firstChildOf(pid: number): number | undefined {
  const first = read(`/proc/${pid}/task/${pid}/children`).trim().split(" ")[0] ?? "";
  return first === "" ? undefined : Number(first);
}

/** What /proc tells of a process; nothing but its pid when it has ended. */
export function describeProcess(pid: number): ProcessInfo {
  const rss = /^VmRSS:\s+(\d+) kB/mu.exec(read(`/proc/${pid}/status`))?.[1];
  return { pid, argv: read(`/proc/${pid}/cmdline`).split("\0").slice(0, -1), rssKib: Number(rss ?? 0) };
}

/** Every living process (no zombies, not this one) that has `directory` in its environment, its arguments or as its working directory. */
export function processesOf(directory: string): ProcessInfo[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/u.test(name) && Number(name) !== process.pid)
    .map(Number)
    .filter((pid) =>
      [read(`/proc/${pid}/environ`), read(`/proc/${pid}/cmdline`), workingDirectory(pid)].some((text) =>
        text.includes(directory),
      ),
    )
    .map(describeProcess);
}

/** Sends a signal; a process that is gone already is fine. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error) || error.code !== "ESRCH") throw error;
  }
}

/** Kills every process of `directory` and waits until none is left; new ones that they start meanwhile die as well. */
export async function killProcessesOf(directory: string): Promise<void> {
  await waitFor(`the processes of ${directory} to end`, () => {
    const alive = processesOf(directory);
    for (const { pid } of alive) signalProcess(pid, "SIGKILL");
    return alive.length === 0;
  });
}
