import type { Clock } from "../../../shared/clock.ts";

/** Answers for many keys, asked for at once: a key without an answer has none. */
export type AskMany<T> = (keys: readonly string[]) => Promise<ReadonlyMap<string, T>>;

interface Waiting<T> {
  readonly key: string;
  readonly resolve: (value: T | undefined) => void;
  readonly reject: (error: unknown) => void;
}

export interface BatchOptions {
  readonly clock: Clock;
  /** How long the first one waits for others. */
  readonly windowMs: number;
  readonly maxKeys: number;
}

/**
 * Collects questions that come within a moment of each other and asks them together. Each is answered by a question that was sent
 * after it came, so that nobody gets an answer from before.
 */
export class Batch<T> {
  readonly #ask: AskMany<T>;
  readonly #options: BatchOptions;
  #waiting: Waiting<T>[] = [];

  constructor(ask: AskMany<T>, options: BatchOptions) {
    this.#ask = ask;
    this.#options = options;
  }

  get(key: string): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ key, resolve, reject });
      if (this.#waiting.length === 1) void this.#flushSoon();
    });
  }

  async #flushSoon(): Promise<void> {
    await this.#options.clock.sleep(this.#options.windowMs);
    const all = this.#waiting;
    this.#waiting = [];
    const keys = [...new Set(all.map((one) => one.key))];
    for (let at = 0; at < keys.length; at += this.#options.maxKeys) {
      const part = new Set(keys.slice(at, at + this.#options.maxKeys));
      void this.#answer(
        all.filter((one) => part.has(one.key)),
        [...part],
      );
    }
  }

  async #answer(waiting: readonly Waiting<T>[], keys: readonly string[]): Promise<void> {
    try {
      const answers = await this.#ask(keys);
      for (const one of waiting) one.resolve(answers.get(one.key));
    } catch (error) {
      for (const one of waiting) one.reject(error);
    }
  }
}
