import type { EscapedResult } from "./result-store.ts";

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
    if (sizeOf(entry) > this.#maxBytes) return;
    this.#entries.set(requestId, entry);
    this.#bytes += sizeOf(entry);
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.delete(oldest);
    }
  }

  delete(requestId: string): void {
    const entry = this.#entries.get(requestId);
    if (entry === undefined) return;
    this.#entries.delete(requestId);
    this.#bytes -= sizeOf(entry);
  }
}

export interface FinishedEntry {
  /** The RequestPayload up to its last field, the result. */
  readonly head: string;
  /** The result as a JSON string literal. */
  readonly escaped: EscapedResult;
  readonly isFailed: boolean;
  readonly userId: string;
}

function sizeOf(entry: FinishedEntry): number {
  return entry.head.length + entry.escaped.length;
}

/** The body of `/api/get`, in pieces so that a large result is not copied. */
export function toAnswer(entry: FinishedEntry): readonly (string | Buffer)[] {
  const [open, close] = entry.isFailed ? ['{"detail":', "}}"] : ["", "}"];
  return [`${open}${entry.head}`, entry.escaped, close];
}
