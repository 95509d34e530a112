/**
 * Runs work whose signal ends only the wait for it: what the work has opened by then, e.g. a connection that others are to share, outlives
 * whoever asked for it.
 */
export async function withWaitSignal<T>(
  signal: AbortSignal | undefined,
  work: (waitSignal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const wait = new AbortController();
  const giveUp = (): void => wait.abort(signal?.reason);
  signal?.addEventListener("abort", giveUp, { once: true });
  try {
    return await work(wait.signal);
  } finally {
    signal?.removeEventListener("abort", giveUp);
  }
}
