/**
 * How long a node that ends waits until what was written to buckets is sent: whole seconds, 0 for not at all, or until it is sent or refused for
 * good.
 */
export type UploadWait = number | "unlimited";

/** What nobody has said anything about waits for ten minutes: less would lose writes, more would keep nodes that cost money. */
const USUAL_SECONDS = 600;
/** A timer that is set to more ends at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Seconds; Infinity for a wait without a limit. */
export function secondsOf(wait: UploadWait = USUAL_SECONDS): number {
  return wait === "unlimited" ? Infinity : wait;
}

/** A signal that aborts after so many seconds; after more than a timer can hold (24 days) never. */
export function abortAfter(seconds: number): AbortSignal {
  const ms = seconds * 1000;
  return ms > MAX_TIMER_MS ? new AbortController().signal : AbortSignal.timeout(ms);
}
