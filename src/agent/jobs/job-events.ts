import type { AgentEvent } from "../../shared/agent/protocol.ts";

/** An event before it has its number. */
export type NewEvent = AgentEvent extends infer E ? (E extends AgentEvent ? Omit<E, "seq"> : never) : never;

const MAX_EVENTS = 10_000;

/** What happened in this life of the agent, numbered from 1. Old events that a later one of the same job or node replaces are dropped. */
export class EventLog {
  #events: AgentEvent[] = [];
  #seq = 0;
  readonly #listeners = new Set<() => void>();

  get seq(): number {
    return this.#seq;
  }

  add(event: NewEvent): void {
    this.#seq += 1;
    this.#events.push({ ...event, seq: this.#seq });
    if (this.#events.length > MAX_EVENTS) this.#compact();
    for (const listener of this.#listeners) listener();
  }

  /** Up to `limit` events after a number, oldest first. */
  after(seq: number, limit: number): readonly AgentEvent[] {
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#events[middle]?.seq ?? 0) <= seq) low = middle + 1;
      else high = middle;
    }
    return this.#events.slice(low, low + limit);
  }

  onEvent(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #compact(): void {
    const latest = new Map<string, AgentEvent>();
    for (const event of this.#events.slice(0, MAX_EVENTS / 2)) {
      latest.set(subjectOf(event), event);
    }
    // Even one event for each job must not grow without end: the oldest jobs are in the queue for whoever asks.
    const kept = [...latest.values()].sort((a, b) => a.seq - b.seq).slice(-MAX_EVENTS / 4);
    this.#events = [...kept, ...this.#events.slice(MAX_EVENTS / 2)];
  }
}

function subjectOf(event: AgentEvent): string {
  switch (event.type) {
    case "job":
      return `job ${event.job.jobId}`;
    case "node":
    case "preempting":
      return `${event.type} ${event.index}`;
    case "lost":
      return `lost ${event.node} ${event.what}`;
    case "autostopping":
      return event.type;
  }
}
