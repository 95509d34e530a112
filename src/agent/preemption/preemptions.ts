import type { Preemption } from "../../shared/agent/protocol.ts";
import type { EventLog } from "../jobs/job-events.ts";

/** What was announced about the nodes of the cluster, as the head knows it. */
export class Preemptions {
  readonly #byNode = new Map<number, Preemption>();
  readonly #events: EventLog;

  constructor(events: EventLog) {
    this.#events = events;
  }

  of(index: number): Preemption | undefined {
    return this.#byNode.get(index);
  }

  /** A node without an announcement has none any more: it was stopped and started, say. */
  note(index: number, preemption: Preemption | undefined): void {
    const before = this.#byNode.get(index);
    if (preemption === undefined) {
      this.#byNode.delete(index);
      return;
    }
    this.#byNode.set(index, preemption);
    if (before?.kind !== preemption.kind) this.#events.add({ type: "preempting", index, preemption });
  }

  /** Why a node may be gone for good, and how long from `now` until that is certain; undefined when nothing was announced. */
  endOf(index: number, now: number): { readonly reason: string; readonly inMs: number } | undefined {
    const preemption = this.#byNode.get(index);
    if (preemption?.kind !== "interruption") return undefined;
    const at = new Date(preemption.atMs).toISOString().slice(11, 19);
    return {
      reason: `it was preempted: its provider had announced to take it back at ${at} UTC`,
      inMs: Math.max(0, preemption.atMs - now),
    };
  }
}
