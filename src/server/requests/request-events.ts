/** Tells those who wait on a request that its log grew or its state changed. Level-triggered: look again after every wake-up. */
export class RequestEvents {
  readonly #listeners = new Map<string, Set<() => void>>();

  notify(requestId: string): void {
    const listeners = this.#listeners.get(requestId);
    if (listeners === undefined) return;
    for (const listener of listeners) listener();
  }

  /** Returns the function that ends the subscription. */
  subscribe(requestId: string, listener: () => void): () => void {
    const listeners = this.#listeners.get(requestId) ?? new Set();
    listeners.add(listener);
    this.#listeners.set(requestId, listeners);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(requestId) === listeners) this.#listeners.delete(requestId);
    };
  }

  /** Resolves at the next event of a request, or after the time. Rejects with the signal's reason. */
  next(requestId: string, options: { readonly signal: AbortSignal; readonly timeoutMs?: number }): Promise<void> {
    const { signal, timeoutMs } = options;
    return new Promise((resolve, reject) => {
      const settle = (end: () => void) => (): void => {
        clearTimeout(timer);
        unsubscribe();
        signal.removeEventListener("abort", abort);
        end();
      };
      const finish = settle(resolve);
      const abort = settle(() => reject(signal.reason as Error));
      const timer = timeoutMs === undefined ? undefined : setTimeout(finish, Math.max(0, timeoutMs));
      const unsubscribe = this.subscribe(requestId, finish);
      signal.addEventListener("abort", abort, { once: true });
      if (signal.aborted) abort();
    });
  }

  /** Number of requests that somebody waits on. */
  get size(): number {
    return this.#listeners.size;
  }
}
