import { AgentPeerError } from "./peer-error.ts";

/** Bytes a side may send before the other side has taken some: bounds the memory of a slow reader. */
export const DEFAULT_WINDOW_BYTES = 1024 * 1024;
/** Largest piece sent at once, so that streams on one connection take turns. */
const SLICE_BYTES = 256 * 1024;

/** What a stream half needs of its connection. */
export interface StreamPort {
  /** Sends a frame now; false when the connection is full. */
  sendData(id: number, bytes: Uint8Array): boolean;
  sendEvent(id: number, value: unknown): number;
  sendWindow(id: number, bytes: number): void;
  /** Resolves when the connection takes data again. */
  whenWritable(): Promise<void> | undefined;
}

type Item = { readonly data: Uint8Array } | { readonly value: unknown; readonly cost: number };

/** Incoming items in order, for one consumer; grants the sender new credit as the consumer takes them. */
export class Inbox {
  readonly #items: Item[] = [];
  readonly #grant: (bytes: number) => void;
  #head = 0;
  #taken = 0;
  #isEnded = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(grant: (bytes: number) => void) {
    this.#grant = grant;
  }

  pushData(data: Uint8Array): void {
    if (!this.#isEnded) this.#push({ data });
  }

  pushEvent(value: unknown, cost: number): void {
    if (!this.#isEnded) this.#push({ value, cost });
  }

  end(error?: Error): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#error = error;
    this.#notify();
  }

  async *chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const item of this.#take()) if ("data" in item) yield item.data;
  }

  async *events(): AsyncGenerator<unknown, void, undefined> {
    for await (const item of this.#take()) if ("value" in item) yield item.value;
  }

  async *#take(): AsyncGenerator<Item, void, undefined> {
    for (;;) {
      const item = this.#items[this.#head];
      if (item !== undefined) {
        this.#head += 1;
        if (this.#head === this.#items.length) {
          this.#items.length = 0;
          this.#head = 0;
        }
        yield item;
        this.#count(item);
      } else if (this.#isEnded) {
        if (this.#error !== undefined) throw this.#error;
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  #count(item: Item): void {
    this.#taken += "data" in item ? item.data.length : item.cost;
    if (this.#taken < DEFAULT_WINDOW_BYTES / 4) return;
    this.#grant(this.#taken);
    this.#taken = 0;
  }

  #push(item: Item): void {
    this.#items.push(item);
    this.#notify();
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

/** The sending half: splits, waits for credit and for the connection. */
export class Outbox {
  readonly #id: number;
  readonly #port: StreamPort;
  #credit = 0;
  #error: Error | undefined;
  #waiters: (() => void)[] = [];

  constructor(id: number, port: StreamPort) {
    this.#id = id;
    this.#port = port;
  }

  grant(bytes: number): void {
    this.#credit += bytes;
    this.#release();
  }

  /** Makes waiting and later sends reject. */
  fail(error: Error): void {
    this.#error ??= error;
    this.#release();
  }

  /** Resolves when the bytes are handed to the connection. The caller must not change them afterwards. */
  async send(bytes: Uint8Array): Promise<void> {
    let rest = bytes;
    while (rest.length > 0) {
      await this.#ready();
      const piece = rest.subarray(0, Math.min(rest.length, this.#credit, SLICE_BYTES));
      this.#credit -= piece.length;
      rest = rest.subarray(piece.length);
      this.#port.sendData(this.#id, piece);
    }
  }

  async sendEvent(value: unknown): Promise<void> {
    await this.#ready();
    this.#credit -= this.#port.sendEvent(this.#id, value);
  }

  async #ready(): Promise<void> {
    for (;;) {
      if (this.#error !== undefined) throw this.#error;
      if (this.#credit <= 0) {
        await new Promise<void>((resolve) => this.#waiters.push(resolve));
        continue;
      }
      const full = this.#port.whenWritable();
      if (full === undefined) return;
      await full;
    }
  }

  #release(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}

/** The error of a stream whose connection has ended. */
export function closedError(cause?: Error): AgentPeerError {
  const why = cause === undefined ? "" : ` (${cause.message})`;
  return new AgentPeerError("CLOSED", `The connection to the agent is gone${why}.`, cause ? { cause } : {});
}
