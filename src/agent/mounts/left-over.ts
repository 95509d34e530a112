import { lstat, readlink, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { unmountBelow } from "../../platform/mounts.ts";
import { resolveDestination, type Destination } from "../sync/dest.ts";
import { readStoredMounts } from "./stored-mounts.ts";

/** Takes down what an agent that is gone has left mounted. Throws OperationFailedError when something stays. */
export async function removeLeftMounts(root: string, home: string): Promise<void> {
  for (const { dest, place = dest } of readStoredMounts(join(root, "mounts.json"))?.mounts ?? []) {
    const destination = resolveDestination(place, home);
    await unmountBelow(destination.path);
    await removePlace(destination);
  }
}

/** Removes the empty directory of a mount, and the link that leads to it. */
export async function removePlace({ path, link }: Destination): Promise<void> {
  try {
    if (link !== undefined && (await lstat(link)).isSymbolicLink() && (await readlink(link)) === path)
      await unlink(link);
  } catch {
    // It was never made, or root made it: a dangling link does no harm.
  }
  try {
    await rmdir(path);
  } catch {
    // It is gone, or holds something that is not ours.
  }
}
