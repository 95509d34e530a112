/** Answers of `/api/get` for requests that have just ended, least recently used first out, bounded in bytes. */
export class FinishedCache {
  readonly #entries = new Map<string, FinishedEntry>();
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get(requestId: string): FinishedEntry | undefined {
    return this.#entries.get(requestId);
  }

  set(requestId: string, entry: FinishedEntry): void {
    this.delete(requestId);
    if (entry.payload.length > this.#maxBytes) return;
    this.#entries.set(requestId, entry);
    this.#bytes += entry.payload.length;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.delete(oldest);
    }
  }

  delete(requestId: string): void {
    const entry = this.#entries.get(requestId);
    if (entry === undefined) return;
    this.#entries.delete(requestId);
    this.#bytes -= entry.payload.length;
  }
}

export interface FinishedEntry {
  /** JSON text of the RequestPayload. */
  readonly payload: string;
  readonly isFailed: boolean;
  readonly userId: string;
}
