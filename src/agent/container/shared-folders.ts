import { execFileSync } from "node:child_process";
import { mkdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { listMounts, type Mount } from "../../platform/mounts.ts";

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
export function isShared(folder: string, mounts = listMounts()): boolean {
  const real = realPath(folder);
  let holder: Mount | undefined;
  for (const mount of mounts) {
    const isAbove = mount.path === "/" || real === mount.path || real.startsWith(`${mount.path}/`);
    if (isAbove && mount.path.length >= (holder?.path.length ?? 0)) holder = mount;
  }
  return holder?.isShared === true;
}

function realPath(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    // It is not there.
    return folder;
  }
}
