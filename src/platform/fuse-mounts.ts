import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { OperationFailedError } from "../shared/errors.ts";

/** A FUSE mount of this machine. */
export interface FuseMount {
  readonly path: string;
  /** E.g. `fuse.rclone`. */
  readonly type: string;
}

const CALL_MS = 10_000;

/** The FUSE mounts that processes of this user's namespace see, in the order in which they were made. */
export function listFuseMounts(): readonly FuseMount[] {
  let text: string;
  try {
    text = readFileSync("/proc/self/mountinfo", "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  return parseMountInfo(text);
}

/** Reads the text of /proc/PID/mountinfo. */
export function parseMountInfo(text: string): readonly FuseMount[] {
  return text.split("\n").flatMap((line) => {
    const [before = "", after = ""] = line.split(" - ");
    const type = after.split(" ")[0] ?? "";
    const path = before.split(" ")[4];
    if (path === undefined || !/^fuse(?:\.|blk$|$)/u.test(type)) return [];
    // Spaces and the like are written in octal.
    return [
      {
        path: path.replaceAll(/\\(\d{3})/gu, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8))),
        type,
      },
    ];
  });
}

export function findFuseMount(path: string): FuseMount | undefined {
  return listFuseMounts().findLast((mount) => mount.path === path);
}

/**
 * Takes every FUSE mount at or below a directory away, whether somebody uses it or not. To be done before the directory is removed:
 * who removes files below a mount removes them from the bucket. Throws OperationFailedError when one stays.
 */
export async function unmountBelow(directory: string): Promise<void> {
  const isBelow = ({ path }: FuseMount): boolean => path === directory || path.startsWith(`${directory}/`);
  // The innermost first; mounts may lie on top of each other.
  const found = listFuseMounts().filter(isBelow).toReversed();
  for (const { path } of found) await unmount(path, { isForced: true });
  const left = listFuseMounts().find(isBelow);
  if (left === undefined) return;
  throw new OperationFailedError(`${left.path} is still mounted, so ${directory} is not removed.`, {
    hint: `Take it away by hand: sudo umount -l ${left.path}`,
  });
}

/** Whether it is gone afterwards. Forced: at once, and whoever has files open in it gets errors. */
export async function unmount(path: string, { isForced }: { readonly isForced: boolean }): Promise<boolean> {
  const lazily = isForced ? ["-z"] : [];
  const ways = [
    ["fusermount3", "-u", ...lazily, path],
    ["fusermount", "-u", ...lazily, path],
    ["umount", ...(isForced ? ["-l"] : []), path],
  ];
  for (const [program = "", ...args] of ways) {
    const before = countAt(path);
    if (before === 0) return true;
    await promisify(execFile)(program, args, { timeout: CALL_MS }).catch(() => undefined);
    if (countAt(path) < before) return true;
  }
  return false;
}

function countAt(path: string): number {
  return listFuseMounts().filter((mount) => mount.path === path).length;
}
