import { totalmem } from "node:os";
import type { MountCache } from "../../shared/agent/mounts.ts";
import { isAtLeast, type RcloneVersion } from "./rclone-version.ts";

/**
 * Of streams that the task asks for, so that each file that is read holds no more than their number times this. Without being asked none are used: up to
 * 1.75 rclone waits for ever for a stream that fails, and several programs that read have several connections anyway.
 */
const CHUNK = "8M";
/** Below this, what is read ahead of each file is kept small instead of fast. */
const SMALL_GIB = 4;
const SMALL_BUFFER = "4M";
const GIB = 1024 ** 3;

interface Reader {
  readonly version: RcloneVersion;
  readonly memoryGib: number;
}

/** How a mount reads: as the task says, and with little kept of each file where there is little memory. */
export function readSettings(
  { version, memoryGib }: Reader,
  cache: MountCache = {},
): Readonly<Record<string, string | number | undefined>> {
  const streams = isAtLeast(version, 1, 68) ? (cache.readChunkStreams ?? 0) : 0;
  return {
    "buffer-size": cache.bufferSize ?? (memoryGib < SMALL_GIB ? SMALL_BUFFER : undefined),
    "vfs-read-chunk-size": cache.readChunkSize ?? (streams > 0 ? CHUNK : undefined),
    "vfs-read-chunk-streams": streams > 0 ? streams : undefined,
  };
}

/** What this process may use: all of the machine's, or as much as its control group has. */
export function memoryGib(): number {
  const limit = process.constrainedMemory();
  return (limit > 0 ? Math.min(limit, totalmem()) : totalmem()) / GIB;
}
