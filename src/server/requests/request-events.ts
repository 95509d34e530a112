export interface RequestChanges {
  /** Without `timeoutMs` it waits as long as it takes. */
  next(options: { readonly signal: AbortSignal; readonly timeoutMs?: number }): Promise<void>;
  close(): void;
}

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

  /**
   * Watches a request: `next` also resolves for an event that came since the last one was taken, so that none is missed while its
   * reader looks at the state. It resolves, too, after the time and when the signal aborts.
   */
  watch(requestId: string): RequestChanges {
    let isChanged = false;
    let wake: (() => void) | undefined;
    const unsubscribe = this.subscribe(requestId, () => {
      isChanged = true;
      wake?.();
    });
    return {
      next: async ({ signal, timeoutMs }) => {
        if (!isChanged && !signal.aborted) {
          const woken = Promise.withResolvers<void>();
          const timer = timeoutMs === undefined ? undefined : setTimeout(woken.resolve, Math.max(0, timeoutMs));
          wake = () => woken.resolve();
          signal.addEventListener("abort", wake, { once: true });
          await woken.promise;
          clearTimeout(timer);
          signal.removeEventListener("abort", wake);
        }
        isChanged = false;
      },
      close: unsubscribe,
    };
  }

  /**
   * Looks at a request until there is something to see: again after every event, one that came during the look included, and
   * every `timeoutMs`. Rejects with the signal's reason.
   */
  async until<T>(
    requestId: string,
    look: () => Promise<T | undefined>,
    options: { readonly signal: AbortSignal; readonly timeoutMs?: number },
  ): Promise<T> {
    const changes = this.watch(requestId);
    try {
      for (;;) {
        options.signal.throwIfAborted();
        const seen = await look();
        if (seen !== undefined) return seen;
        await changes.next(options);
      }
    } finally {
      changes.close();
    }
  }

  /** Number of requests that somebody waits on. */
  get size(): number {
    return this.#listeners.size;
  }
}
