/** What is asked for again while it runs, by a caller whose connection broke, is joined. What has failed is done anew. */
export class UnderWay<T> {
  readonly #byKey = new Map<string, Promise<T>>();

  /** Nobody can ask again for what has no key. */
  join(key: string | undefined, run: () => Promise<T>): Promise<T> {
    if (key === undefined) return run();
    const work = this.#byKey.get(key) ?? run();
    this.#byKey.set(key, work);
    work.catch(() => this.#byKey.delete(key));
    return work;
  }
}
