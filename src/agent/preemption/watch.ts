import type { Preemption } from "../../shared/agent/protocol.ts";
import type { Clock } from "../../shared/clock.ts";
import type { ReadNotice } from "./ec2-notices.ts";

/** EC2 gives two minutes of notice, and asks to be looked at every five seconds. */
const LOOK_MS = 5000;
/** While nobody answers: metadata may be switched off. Two minutes of notice still leave most of their time. */
const SILENT_LOOK_MS = 15_000;

export interface WatchOptions {
  readonly read: ReadNotice;
  readonly clock: Clock;
  /** Told once of each announcement, an interruption after a mere warning included. */
  readonly onNotice: (notice: Preemption) => void;
  /** Told of the first of several looks that fail. */
  readonly onError: (error: unknown) => void;
}

/** Looks for notices until the signal aborts or the node's end is announced. */
export async function watchNotices(options: WatchOptions, signal: AbortSignal): Promise<void> {
  const { read, clock, onNotice, onError } = options;
  let seen: Preemption | undefined;
  let isSilent = false;
  while (!signal.aborted && seen?.kind !== "interruption") {
    try {
      const notice = await read(signal);
      isSilent = false;
      if (notice !== undefined && notice.kind !== seen?.kind) {
        seen = notice;
        onNotice(notice);
      }
    } catch (error) {
      if (!isSilent && !signal.aborted) onError(error);
      isSilent = true;
    }
    await clock.sleep(isSilent ? SILENT_LOOK_MS : LOOK_MS, { signal }).catch(() => undefined);
  }
}
