import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";

/** Folders of the node's HOME that a container shares. */
export const SHARED_FOLDERS = ["sky_workdir", "sky_logs", ".sky/file_mounts"] as const;

const CALL_MS = 10_000;

/**
 * Makes the folders that a container shares. Where the machine does not pass on what is mounted later (as machines with systemd do),
 * root makes the folders pass it on, so that buckets that are mounted in them appear in the container.
 */
export function makeSharedFolders(home: string): void {
  for (const name of SHARED_FOLDERS) {
    const folder = join(home, name);
    mkdirSync(folder, { recursive: true });
    if (process.getuid?.() !== 0 || isShared(folder)) continue;
    try {
      mount("--bind", folder, folder);
      mount("--make-rshared", folder);
    } catch {
      // A container without that right: only mounts do not work, and say so.
    }
  }
}

function mount(...args: readonly string[]): void {
  const [program, ...words] = ["mount", ...args] as const;
  execFileSync(program, words, { stdio: "ignore", timeout: CALL_MS });
}

/** Whether what is mounted in a folder later appears where the folder is mounted. */
export function isShared(folder: string, mountInfo = readMountInfo()): boolean {
  const real = realPath(folder);
  let holder = { path: "", isShared: false };
  for (const line of mountInfo.split("\n")) {
    const [, , , , path = "", , ...fields] = line.split(" ");
    const isAbove = path === "/" || real === path || real.startsWith(`${path}/`);
    if (path === "" || !isAbove || path.length < holder.path.length) continue;
    const optional = fields.slice(0, fields.indexOf("-"));
    holder = { path, isShared: optional.some((field) => field.startsWith("shared:")) };
  }
  return holder.isShared;
}

function realPath(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    // It is not there.
    return folder;
  }
}

function readMountInfo(): string {
  try {
    return readFileSync("/proc/self/mountinfo", "utf8");
  } catch {
    // Not Linux: nothing is passed on.
    return "";
  }
}
