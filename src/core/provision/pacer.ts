import type { Clock } from "../../shared/clock.ts";

/** First distance between two calls after a cloud has said that it is asked too often. */
const FIRST_GAP_MS = 50;
const LONGEST_GAP_MS = 10_000;
const SHRINK = 0.98;
/** Below it the pace is free again. */
const FREE_GAP_MS = 5;
/** Calls that may be under way side by side. */
const AT_ONCE = 16;

interface Waiting {
  readonly priority: number;
  readonly go: () => void;
}

/** The right to make one call; ended by telling how it went. */
export interface Turn {
  /** The pace at which the call went out. */
  readonly pace: number;
}

export type Went = "well" | "too fast" | "otherwise";

/**
 * Spreads the calls of all requests to one cloud: as fast as they come, until the cloud says that this is too fast; then the distance
 * between two calls doubles with each such answer and shrinks slowly with each other one. Looks go before changes.
 */
export class Pacer {
  readonly #clock: Clock;
  readonly #waiting: Waiting[] = [];
  #gapMs = 0;
  #nextAt = 0;
  #underWay = 0;
  /** Counts the times that the pace was lowered. */
  #pace = 0;
  #last: number | undefined;
  #isPumping = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when it is this call's turn. The highest priority goes first, then who came first. */
  async turn(priority: number, signal: AbortSignal): Promise<Turn> {
    signal.throwIfAborted();
    const isFree = this.#gapMs === 0 && this.#underWay < AT_ONCE && this.#waiting.length === 0;
    if (isFree) this.#underWay++;
    else await this.#wait(priority, signal);
    return { pace: this.#pace };
  }

  /** Every turn ends here. */
  end(turn: Turn, went: Went): void {
    this.#underWay--;
    if (went === "well") this.#gapMs = this.#gapMs < FREE_GAP_MS ? 0 : this.#gapMs * SHRINK;
    // Of calls that went out side by side only the first to come back lowers the pace.
    if (went === "too fast" && turn.pace === this.#pace) {
      this.#pace++;
      this.#gapMs = Math.min(LONGEST_GAP_MS, Math.max(FIRST_GAP_MS, this.#gapMs * 2));
      this.#nextAt = this.#clock.now() + this.#gapMs;
    }
    void this.#pump();
  }

  #wait(priority: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(signal.reason as Error);
      };
      const go = (): void => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const waiting = { priority, go };
      signal.addEventListener("abort", leave, { once: true });
      this.#waiting.push(waiting);
      void this.#pump();
    });
  }

  async #pump(): Promise<void> {
    if (this.#isPumping) return;
    this.#isPumping = true;
    while (this.#waiting.length > 0 && this.#underWay < AT_ONCE) {
      const ahead = this.#nextAt - this.#clock.now();
      if (ahead > 0) {
        await this.#clock.sleep(ahead);
        continue;
      }
      this.#nextAt = this.#clock.now() + this.#gapMs;
      this.#underWay++;
      this.#takeFirst()?.go();
    }
    this.#isPumping = false;
  }

  /** Never two of the higher priority in a row while others wait: looks that never end would let no change through. */
  #takeFirst(): Waiting | undefined {
    const priorities = this.#waiting.map((one) => one.priority);
    const best = Math.max(...priorities);
    const others = priorities.filter((one) => one !== best);
    const wanted = this.#last === best && others.length > 0 ? Math.max(...others) : best;
    const [next] = this.#waiting.splice(priorities.indexOf(wanted), 1);
    this.#last = wanted;
    return next;
  }
}
