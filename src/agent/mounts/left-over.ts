import { lstatSync, readlinkSync, rmdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { unmountBelow } from "../../platform/mounts.ts";
import { resolveDestination, type Destination } from "../sync/dest.ts";
import { readStoredMounts } from "./stored-mounts.ts";

/** Takes down what an agent that is gone has left mounted. Throws OperationFailedError when something stays. */
export async function removeLeftMounts(root: string, home: string): Promise<void> {
  for (const { dest, place = dest } of readStoredMounts(join(root, "mounts.json"))?.mounts ?? []) {
    const destination = resolveDestination(place, home);
    await unmountBelow(destination.path);
    removePlace(destination);
  }
}

/** Removes the empty directory of a mount, and the link that leads to it. */
export function removePlace({ path, link }: Destination): void {
  try {
    if (link !== undefined && lstatSync(link).isSymbolicLink() && readlinkSync(link) === path) unlinkSync(link);
  } catch {
    // It was never made, or root made it: a dangling link does no harm.
  }
  try {
    rmdirSync(path);
  } catch {
    // It is gone, or holds something that is not ours.
  }
}
