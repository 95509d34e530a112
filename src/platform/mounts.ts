import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { readlink, realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { OperationFailedError } from "../shared/errors.ts";

/** Something that is mounted on this machine. */
export interface Mount {
  readonly path: string;
  /** E.g. `fuse.rclone`, `ext4`. */
  readonly type: string;
  /** Whether what is mounted below it later appears where it is mounted elsewhere, e.g. in a container. */
  readonly isShared?: true;
}

const CALL_MS = 10_000;

/** What processes of this user's namespace see, in the order in which it was mounted. Asks none of the mounts themselves. */
export function listMounts(): readonly Mount[] {
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
export function parseMountInfo(text: string): readonly Mount[] {
  return text.split("\n").flatMap((line) => {
    const [before = "", after = ""] = line.split(" - ");
    const type = after.split(" ")[0] ?? "";
    const [, , , , path, , ...optional] = before.split(" ");
    if (path === undefined || type === "") return [];
    return [
      {
        // Spaces and the like are written in octal.
        path: path.replaceAll(/\\(\d{3})/gu, (_, code: string) => String.fromCharCode(parseInt(code, 8))),
        type,
        ...(optional.some((field) => field.startsWith("shared:")) ? { isShared: true } : {}),
      },
    ];
  });
}

/** The topmost FUSE mount at a path. */
export async function findFuseMount(path: string): Promise<Mount | undefined> {
  const place = await toMountPath(path);
  return listMounts().findLast((mount) => mount.path === place && isFuse(mount));
}

function isFuse({ type }: Mount): boolean {
  return /^fuse(?:\.|blk$|$)/u.test(type);
}

/**
 * Takes everything that is mounted at or below a directory away, whether somebody uses it or not. To be done before the directory is
 * removed: who removes files below a mount removes them from the bucket. Throws OperationFailedError when something stays.
 */
export async function unmountBelow(directory: string): Promise<void> {
  const place = await toMountPath(directory);
  const isBelow = ({ path }: Mount): boolean => path === place || path.startsWith(`${place}/`);
  // The innermost first; mounts may lie on top of each other.
  const found = listMounts().filter(isBelow).toReversed();
  for (const { path } of found) await unmount(path, { isForced: true });
  const left = listMounts().find(isBelow);
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
  const isUsersOwn = (await findFuseMount(path)) !== undefined;
  for (const [program = "", ...args] of isUsersOwn ? ways : ways.slice(2)) {
    const before = await countAt(path);
    if (before === 0) return true;
    await runBriefly(program, args);
    if ((await countAt(path)) < before) return true;
  }
  return false;
}

/** A program that waits in the kernel for a mount whose own program hangs cannot be ended, and is left to itself. */
async function runBriefly(program: string, args: readonly string[]): Promise<void> {
  const over = new AbortController();
  const ended = new Promise<void>((resolve) => {
    execFile(program, args, { timeout: CALL_MS, killSignal: "SIGKILL" }, () => resolve());
  });
  await Promise.race([ended, delay(CALL_MS + 1000, undefined, { signal: over.signal, ref: false })]);
  over.abort();
}

async function countAt(path: string): Promise<number> {
  const place = await toMountPath(path);
  return listMounts().filter((mount) => mount.path === place).length;
}

/**
 * A path as the kernel lists what is mounted there. What a mount itself would have to answer is not asked: its program may hang, or be gone. One
 * that the path lies in is asked, without holding up the process: that mount's program may be waiting for this one, which gives it its keys.
 */
async function toMountPath(path: string): Promise<string> {
  const over = new AbortController();
  const late = delay(CALL_MS, path, { signal: over.signal, ref: false }).catch(() => path);
  return Promise.race([resolvePlace(path), late]).finally(() => over.abort());
}

async function resolvePlace(path: string): Promise<string> {
  try {
    await readlink(path);
    return await realpath(path);
  } catch {
    // No link itself, or there is nothing.
  }
  try {
    return join(await realpath(dirname(path)), basename(path));
  } catch {
    return path;
  }
}
