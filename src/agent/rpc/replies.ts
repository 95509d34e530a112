import type { Clock } from "../../shared/clock.ts";
import type { JobStore } from "../jobs/job-store.ts";

/** Makes mutating requests safe to repeat: a key is carried out once, and every repetition gets the same answer. */
export class Replies {
  readonly #store: Pick<JobStore, "findReply" | "saveReply">;
  readonly #clock: Clock;
  readonly #underWay = new Map<string, Promise<unknown>>();

  constructor(store: Pick<JobStore, "findReply" | "saveReply">, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  once<T>(key: string, run: () => Promise<T>): Promise<T> {
    const underWay = this.#underWay.get(key) ?? this.#run(key, run);
    // The caller of a key always asks for the same kind of thing.
    return underWay as Promise<T>;
  }

  #run(key: string, run: () => Promise<unknown>): Promise<unknown> {
    const before = this.#store.findReply(key);
    if (before !== undefined) return Promise.resolve(before);
    const reply = run().then((value) => {
      this.#store.saveReply(key, value, this.#clock.now());
      return value;
    });
    this.#underWay.set(key, reply);
    const forget = (): void => void this.#underWay.delete(key);
    reply.then(forget, forget);
    return reply;
  }
}
