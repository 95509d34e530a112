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
  const { free, blockBytes } = freeSpace(path);
  // Copies of many files come in batches.
  const soFar = existsSync(path) ? "" : " Nothing was copied.";
  // Files take whole blocks.
  const needed = restBytes + sizes.reduce((sum, size) => sum + Math.ceil(size / blockBytes) * blockBytes, 0);
  if (needed <= free) return;
  throw new AgentPeerError(
    "NO_SPACE",
    `There is no space for ${shown}: ${formatBytes(needed)} are needed, ${formatBytes(free)} are free.${soFar}`,
    { hint: "Free space on the node's disk, or ask for a larger one (disk_size), then repeat the command." },
  );
}

/** Bytes that are left where a path is, or will be. */
export function freeSpace(path: string): { readonly free: number; readonly blockBytes: number } {
  const { bavail, bsize } = statfsSync(existingParent(path));
  return { free: bavail * bsize, blockBytes: bsize };
}

function existingParent(path: string): string {
  return existsSync(path) ? path : existingParent(dirname(path));
}
