import type { Clock } from "../../shared/clock.ts";
import type { TaskRunner } from "../tasks/task-runner.ts";

/** A head gives a worker up after its grace period, which begins up to 15 s after the last sign of life; and then some. */
const FACTOR = 1.5;

export interface CutOffOptions {
  /** How long the head waits for a worker. */
  readonly graceMs: number;
  readonly clock: Clock;
  /** Ends what the head has given up by now. */
  readonly onCutOff: (silentMs: number) => Promise<void>;
}

/**
 * Notices that the head must have given this node up: its machine has not answered for longer than it waits. A head whose agent is
 * away (killed, upgraded, stuck) answers by refusing or accepting connections, and has given nothing up: that never counts.
 */
export class CutOff {
  readonly #options: CutOffOptions;
  #heardMs: number;
  #isOver = false;

  constructor(options: CutOffOptions) {
    this.#options = options;
    this.#heardMs = options.clock.now();
  }

  /** The head's machine has given a sign of life. */
  heard(): void {
    this.#heardMs = this.#options.clock.now();
    this.#isOver = false;
  }

  /** The head's machine was asked for one in vain. */
  async missed(): Promise<void> {
    const { graceMs, clock, onCutOff } = this.#options;
    const silentMs = clock.now() - this.#heardMs;
    if (this.#isOver || silentMs < graceMs * FACTOR) return;
    this.#isOver = true;
    await onCutOff(silentMs);
  }
}

/** Ends all tasks, whose jobs have failed. They are forgotten when the head is there again and says so. */
export async function endTasks(runner: TaskRunner, graceMs: number): Promise<void> {
  const running = runner.list().filter((id) => !runner.isOver(id));
  await Promise.all(running.map((id) => runner.kill(id, graceMs)));
}
