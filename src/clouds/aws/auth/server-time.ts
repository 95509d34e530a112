import type { Clock } from "../../../shared/clock.ts";

/** Smaller differences are the network's delay and the whole seconds of the Date header. */
const TOLERANCE_MS = 60_000;

/** The time at AWS: this machine's clock, corrected once an answer has shown that it is off. */
export class ServerTime {
  readonly #clock: Clock;
  #skewMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds since the epoch, as AWS counts them. */
  now(): number {
    return this.#clock.now() + this.#skewMs;
  }

  /** How far AWS is ahead of this machine; 0 while that is within a minute. */
  get skewMs(): number {
    return this.#skewMs;
  }

  /** Takes the `Date` header of an answer. */
  observe(date: string | undefined): void {
    const time = date === undefined ? Number.NaN : Date.parse(date);
    if (Number.isNaN(time)) return;
    const skewMs = time - this.#clock.now();
    this.#skewMs = Math.abs(skewMs) > TOLERANCE_MS ? skewMs : 0;
  }
}
