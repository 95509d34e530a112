import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { MountSpec } from "../../shared/agent/mounts.ts";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { Clock } from "../../shared/clock.ts";
import { readChunk } from "../logs/tail-file.ts";
import { readCacheLine, readUploadFailure } from "./rclone-command.ts";

/** A mount whose files go to the bucket by way of the disk. */
export interface UploadingMount {
  readonly spec: Pick<MountSpec, "dest" | "bucket">;
  readonly logPath: string;
  readonly isRunning: () => boolean;
}

const LOOK_MS = 200;
/** rclone says each second what waits: one that runs and says nothing hangs. */
const SILENCE_MS = 60_000;
/** What is refused for good is tried this often, over half a minute. */
const TRIES = 3;

/**
 * Resolves when everything that was written is in the bucket. What S3 is not there for is waited for. Throws MOUNT_DENIED when S3 refuses
 * it for good, MOUNT_FAILED when the mount's program hangs.
 */
export async function waitForUploads(
  { spec, logPath, isRunning }: UploadingMount,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  let offset = statSync(logPath, { throwIfNoEntry: false })?.size ?? 0;
  let rest = "";
  let heardMs = clock.now();
  // What has just been closed counts from the next look on.
  for (let clean = 0; clean < 2;) {
    signal.throwIfAborted();
    await clock.sleep(LOOK_MS, { signal });
    const bytes = readChunk(logPath, offset);
    offset += bytes.length;
    const lines = (rest + bytes.toString("utf8")).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const seen = readCacheLine(line);
      if (seen !== undefined) clean = seen.waiting === 0 ? clean + 1 : 0;
      const failure = readUploadFailure(line);
      if (failure?.isFinal === true && failure.tries >= TRIES) throw refused(spec, failure.reason);
    }
    // One that died is being started again, and then goes on with what waits.
    if (lines.length > 0 || !isRunning()) heardMs = clock.now();
    if (!isRunning()) clean = 0;
    if (clock.now() - heardMs > SILENCE_MS) {
      throw new AgentPeerError(
        "MOUNT_FAILED",
        `The mount of ${spec.dest} hangs, so it is not known what is in s3://${spec.bucket}.`,
      );
    }
  }
}

function refused({ dest, bucket }: UploadingMount["spec"], reason: string): AgentPeerError {
  return new AgentPeerError("MOUNT_DENIED", `What was written to ${dest} is not in s3://${bucket}: ${reason}`);
}

/** Whether there is any file in a folder, however deep. */
export function hasFiles(folder: string): boolean {
  try {
    return readdirSync(folder, { withFileTypes: true }).some((entry) =>
      entry.isDirectory() ? hasFiles(join(folder, entry.name)) : true,
    );
  } catch {
    // It is not there: nothing was cached yet.
    return false;
  }
}
