import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { writeFileAtomic } from "../../platform/atomic-file.ts";
import { isSameProcess, processStartTime } from "../../platform/process-identity.ts";
import type { Clock } from "../../shared/clock.ts";

/** A program that keeps a mount up. It outlives the agent. */
export interface MountProcess {
  readonly pid: number;
  /** Of the door where it asks for its keys. */
  readonly port: number;
  /** What it shows there. */
  readonly token: string;
  readonly exited: Promise<void>;
  readonly isOver: () => boolean;
}

interface Stored {
  readonly pid: number;
  readonly startTime: number | undefined;
  readonly port: number;
}

/** How often a process is looked at that is not our child. */
const POLL_MS = 500;
/** How long a program may take to end by itself. */
const LEAVE_MS = 5000;
const GAP_MS = 50;

export interface StartOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly logPath: string;
  readonly recordPath: string;
  readonly port: number;
  readonly token: string;
  readonly cwd: string;
}

export function startMountProcess(argv: readonly string[], options: StartOptions): Promise<MountProcess> {
  const { env, logPath, recordPath, port, token, cwd } = options;
  const [program = "", ...args] = argv;
  const log = openSync(logPath, "a", 0o600);
  const child = spawn(program, args, { env, cwd, detached: true, stdio: ["ignore", log, log] });
  closeSync(log);
  child.unref();
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    const { pid } = child;
    if (pid === undefined) return;
    let isOver = false;
    const exited = new Promise<void>((done) => {
      child.once("exit", () => {
        isOver = true;
        done();
      });
    });
    const stored: Stored = { pid, startTime: processStartTime(pid), port };
    writeFileAtomic(recordPath, JSON.stringify(stored), { mode: 0o600 });
    resolve({ pid, port, token, exited, isOver: () => isOver });
  });
}

/** The process that an earlier agent has started, with the token in its variables, which no file holds. */
export function adoptMountProcess(recordPath: string, marker: string, clock: Clock): MountProcess | undefined {
  const stored = readRecord(recordPath);
  if (stored === undefined || !isSameProcess(stored.pid, stored.startTime)) return undefined;
  const variables = readVariables(stored.pid);
  const token = variables.find((one) => one.startsWith(TOKEN))?.slice(TOKEN.length) ?? "";
  if (!variables.includes(marker)) return undefined;
  const isOver = (): boolean => !isSameProcess(stored.pid, stored.startTime);
  return { pid: stored.pid, port: stored.port, token, exited: waitForEnd(isOver, clock), isOver };
}

const TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN=";

async function waitForEnd(isOver: () => boolean, clock: Clock): Promise<void> {
  while (!isOver()) await clock.sleep(POLL_MS);
}

function readRecord(path: string): Stored | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Stored;
  } catch {
    // None was started, or the machine went down while it was written.
    return undefined;
  }
}

function readVariables(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    // It is gone, or another user's.
    return [];
  }
}

/** TERM lets rclone unmount by itself. */
export async function stopMountProcess(running: MountProcess, clock: Clock): Promise<void> {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    if (running.isOver()) return;
    try {
      process.kill(running.pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ESRCH") return;
      throw error;
    }
    for (const deadline = clock.now() + LEAVE_MS; !running.isOver() && clock.now() < deadline;)
      await clock.sleep(GAP_MS);
  }
}
