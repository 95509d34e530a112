import type { Clock } from "../../shared/clock.ts";

/** Below this rate compression saves time: one processor compresses, and each node expands, several times as much. */
const SLOW_BYTES_PER_MS = 40_000;
/** What is measured at a time: more than what is under way. */
const SAMPLE_BYTES = 4 * 1024 * 1024;

/** How fast bytes get through to the nodes. */
export class LinkPace {
  readonly #clock: Clock;
  #begunMs: number;
  #bytes = 0;
  #isSlow = true;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#begunMs = clock.now();
  }

  /** Told of the bytes that were just accepted; says whether the link is so slow that compression pays. */
  isSlow(sentBytes: number): boolean {
    this.#bytes += sentBytes;
    if (this.#bytes < SAMPLE_BYTES) return this.#isSlow;
    const now = this.#clock.now();
    this.#isSlow = this.#bytes < SLOW_BYTES_PER_MS * (now - this.#begunMs);
    this.#bytes = 0;
    this.#begunMs = now;
    return this.#isSlow;
  }
}
