import { rmSync } from "node:fs";
import { unmountBelow } from "./mounts.ts";

/**
 * Removes a file, or a directory with all that is in it, but nothing that is mounted below it: that belongs to a bucket, another disk
 * or another machine, and is taken away first. Nothing at all is removed, and OperationFailedError thrown, when that does not work.
 */
export async function removeTree(path: string): Promise<void> {
  await unmountBelow(path);
  rmSync(path, { recursive: true, force: true });
}
