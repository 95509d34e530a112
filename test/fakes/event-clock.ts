import type { Clock } from "../../src/shared/clock.ts";

interface Sleeper {
  readonly at: number;
  readonly wake: () => void;
}

/**
 * Time that stands still while anybody has something to do, and then jumps to the first who sleeps: many requests side by side see the
 * same time, as on a real machine that is fast enough.
 */
export class EventClock implements Clock {
  #now = 1_700_000_000_000;
  readonly #sleepers: Sleeper[] = [];

  now(): number {
    return this.#now;
  }

  sleep(ms: number, options?: { readonly signal?: AbortSignal }): Promise<void> {
    return new Promise((resolve, reject) => {
      const sleeper = { at: this.#now + ms, wake: resolve };
      this.#sleepers.push(sleeper);
      options?.signal?.addEventListener("abort", () => reject(options.signal?.reason as Error), { once: true });
    });
  }

  /** Lets time pass until `work` is done. */
  async runUntil<T>(work: Promise<T>): Promise<T> {
    const state = { isDone: false };
    const watched = work.finally(() => {
      state.isDone = true;
    });
    watched.catch(() => undefined);
    while (!state.isDone) {
      // Everything that can go on without time does so first.
      for (let i = 0; i < 20 && !state.isDone; i++) await new Promise((resolve) => setImmediate(resolve));
      const next = this.#sleepers.toSorted((a, b) => a.at - b.at)[0];
      if (next === undefined || state.isDone) continue;
      this.#sleepers.splice(this.#sleepers.indexOf(next), 1);
      this.#now = Math.max(this.#now, next.at);
      next.wake();
    }
    return watched;
  }
}
