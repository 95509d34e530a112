import type { Clock } from "../../../shared/clock.ts";

/** Answers that are kept for some minutes; who asks while one is on its way gets the same one. A failure is not kept. */
export class Kept<T> {
  readonly #answers = new Map<string, { readonly value: Promise<T>; readonly atMs: number }>();
  readonly #clock: Clock;
  readonly #ttlMs: number;

  constructor(clock: Clock, ttlMs: number) {
    this.#clock = clock;
    this.#ttlMs = ttlMs;
  }

  get(key: string, ask: () => Promise<T>): Promise<T> {
    this.#dropOld();
    const known = this.#answers.get(key);
    if (known !== undefined) return known.value;
    const value = ask();
    const entry = { value, atMs: this.#clock.now() };
    this.#answers.set(key, entry);
    value.catch(() => {
      if (this.#answers.get(key) === entry) this.#answers.delete(key);
    });
    return value;
  }

  /** The oldest come first, as each is put in anew. */
  #dropOld(): void {
    const oldest = this.#clock.now() - this.#ttlMs;
    for (const [key, { atMs }] of this.#answers) {
      if (atMs > oldest) return;
      this.#answers.delete(key);
    }
  }

  /** Forgets every answer whose key begins with `prefix`. */
  forgetAll(prefix: string): void {
    for (const key of this.#answers.keys()) if (key.startsWith(prefix)) this.#answers.delete(key);
  }
}
