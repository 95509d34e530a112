/** Brings numbered items into order: those that come too early wait, those that came already are dropped. */
export class ReceiveOrder<T> {
  readonly #capacity: number;
  readonly #early = new Map<number, T>();
  #expected = 0;

  /** `capacity`: how far ahead of the next item one may be. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** The number of the next item. */
  get expected(): number {
    return this.#expected;
  }

  /**
   * Gives what is now in order. `isKept` = it need not be sent again, which is to be said also of one that came already: the first
   * word may have been lost.
   */
  accept(sequence: number, item: T): { readonly isKept: boolean; readonly ready: readonly T[] } {
    if (sequence < this.#expected) return { isKept: true, ready: [] };
    if (sequence - this.#expected >= this.#capacity) return { isKept: false, ready: [] };
    this.#early.set(sequence, item);
    return { isKept: true, ready: this.#takeReady() };
  }

  #takeReady(): T[] {
    const ready: T[] = [];
    for (;;) {
      const item = this.#early.get(this.#expected);
      if (item === undefined) return ready;
      this.#early.delete(this.#expected);
      this.#expected += 1;
      ready.push(item);
    }
  }
}
