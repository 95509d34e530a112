const TICKS = 10;

export interface Deadline {
  readonly signal: AbortSignal;
  /** Whoever has what they waited for says so. */
  cancel(): void;
}

/**
 * Aborts after about `ms` milliseconds in which this process could run. What kept it from that, such as loading a large module or a busy
 * machine, counts as a tenth of `ms` at most: an answer that came meanwhile could not be read.
 */
export function patientDeadline(ms: number): Deadline {
  const controller = new AbortController();
  let left = TICKS;
  // An interval that was kept from running fires once, however long that was.
  const timer = setInterval(() => {
    left -= 1;
    if (left > 0) return;
    clearInterval(timer);
    controller.abort(new DOMException("The operation was aborted due to timeout", "TimeoutError"));
  }, ms / TICKS);
  timer.unref();
  return { signal: controller.signal, cancel: () => clearInterval(timer) };
}
