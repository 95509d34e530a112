import { existsSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import { formatBytes } from "../../shared/format-bytes.ts";

/** What is to be written below a path. */
export interface SpaceWish {
  /** Bytes of each file. */
  readonly sizes: readonly number[];
  /** Of further files, which are not counted one by one. */
  readonly restBytes: number;
  /** As the user named the path. */
  readonly shown: string;
}

/** Refuses what the disk of a path, which may not be there yet, has no space for. Throws NO_SPACE with both figures. */
export function requireSpace(path: string, { sizes, restBytes, shown }: SpaceWish): void {
  const { bavail, bsize } = statfsSync(existingParent(path));
  // Files take whole blocks.
  const needed = restBytes + sizes.reduce((sum, size) => sum + Math.ceil(size / bsize) * bsize, 0);
  const free = bavail * bsize;
  if (needed <= free) return;
  throw new AgentPeerError(
    "NO_SPACE",
    `There is no space for ${shown}: ${formatBytes(needed)} are needed, ${formatBytes(free)} are free. Nothing was copied.`,
    { hint: "Free space on the node's disk, or ask for a larger one (disk_size), then repeat the command." },
  );
}

function existingParent(path: string): string {
  return existsSync(path) ? path : existingParent(dirname(path));
}
