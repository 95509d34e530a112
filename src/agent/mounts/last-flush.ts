import type { MountSpec } from "../../shared/agent/mounts.ts";
import { abortAfter, secondsOf, type UploadWait } from "../../shared/agent/upload-wait.ts";
import { uriOf } from "../../shared/bucket-uri.ts";

/** A mount that is about to go. */
export interface LeavingMount {
  readonly spec: Pick<MountSpec, "dest" | "scheme" | "bucket" | "prefix">;
  /** Resolves when everything is in the bucket. Rejects with the signal's reason, and when S3 refuses it for good. */
  flush(signal: AbortSignal): Promise<void>;
  hasUnsent(): Promise<boolean>;
}

/** Waits until everything that was written to a mount is in its bucket. Gives why that is not so, in a sentence; undefined: it is. */
export async function lastFlush(mount: LeavingMount, wait: UploadWait | undefined): Promise<string | undefined> {
  const signal = abortAfter(secondsOf(wait));
  try {
    await mount.flush(signal);
    return undefined;
  } catch (error) {
    if (!signal.aborted) return error instanceof Error ? error.message : String(error);
    // A short wait ends before rclone has said twice that nothing waits. What cannot be read may be unsent.
    const isUnsent = await mount.hasUnsent().catch(() => true);
    return isUnsent ? tooLate(mount.spec, wait) : undefined;
  }
}

/** Says what is not sent after a wait. */
export function tooLate(spec: LeavingMount["spec"], wait: UploadWait | undefined): string {
  const seconds = secondsOf(wait);
  const written = `What was written to ${spec.dest}`;
  if (seconds === 0) return `${written} is not all in ${uriOf(spec)}.`;
  return `${written} could not all be sent to ${uriOf(spec)} within ${durationText(seconds)}.`;
}

function durationText(seconds: number): string {
  const [count, unit] = seconds % 60 === 0 ? [seconds / 60, "minute"] : [seconds, "second"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}
