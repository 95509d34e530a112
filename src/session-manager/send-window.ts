/** Until the first answer is timed. */
const FIRST_TIMEOUT_MS = 200;
const SHORTEST_TIMEOUT_MS = 50;
const LONGEST_TIMEOUT_MS = 1_000;
/** For frames that were sent again and again. */
const LONGEST_PAUSE_MS = 5_000;
const GRANULARITY_MS = 10;
/** A frame is taken for lost when this many that were sent after it have arrived. */
const PASSED_BY = 3;

interface Sent {
  readonly sequence: number;
  readonly frame: Uint8Array;
  sentMs: number;
  /** How often it was sent again. */
  repeats: number;
  /** How many that were sent after it have arrived. */
  passedBy: number;
}

/**
 * What was sent and not acknowledged yet, and when to send it again: after a time that follows from how long answers take (as in
 * RFC 6298: smoothed round trip and four times its variation), or once later frames have overtaken it.
 */
export class SendWindow {
  readonly #capacity: number;
  readonly #sent = new Map<number, Sent>();
  #smoothedMs: number | undefined;
  #variationMs = 0;
  #next = 0;
  /** Of the last acknowledgement, or of the first frame after everything was acknowledged. */
  #progressMs = 0;

  /** `capacity`: frames that may be on their way. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#sent.size;
  }

  get isFull(): boolean {
    return this.#sent.size >= this.#capacity;
  }

  /** The number that the next frame gets. */
  get nextSequence(): number {
    return this.#next;
  }

  /** How long a frame may stay without an answer. */
  get timeoutMs(): number {
    if (this.#smoothedMs === undefined) return FIRST_TIMEOUT_MS;
    const timeout = this.#smoothedMs + Math.max(GRANULARITY_MS, 4 * this.#variationMs);
    return Math.min(LONGEST_TIMEOUT_MS, Math.max(SHORTEST_TIMEOUT_MS, timeout));
  }

  /** Takes note of a frame that is sent now. */
  add(frame: Uint8Array, nowMs: number): void {
    if (this.#sent.size === 0) this.#progressMs = nowMs;
    const sequence = this.#next++;
    this.#sent.set(sequence, { sequence, frame, sentMs: nowMs, repeats: 0, passedBy: 0 });
  }

  /** Whether the frame was still waited for. */
  acknowledge(sequence: number, nowMs: number): boolean {
    const sent = this.#sent.get(sequence);
    if (sent === undefined) return false;
    this.#sent.delete(sequence);
    this.#progressMs = nowMs;
    // After a repetition nobody knows which of the two was answered.
    if (sent.repeats === 0) this.#learn(nowMs - sent.sentMs);
    for (const earlier of this.#sent.values()) {
      if (earlier.sequence > sequence) break;
      if (earlier.sentMs <= sent.sentMs) earlier.passedBy += 1;
    }
    return true;
  }

  /** Frames that have to be sent again now, the oldest first, at most `limit`; taken as sent. */
  takeDue(nowMs: number, limit: number): readonly Uint8Array[] {
    const due: Uint8Array[] = [];
    for (const sent of this.#sent.values()) {
      if (due.length >= limit) break;
      if (!this.#isDue(sent, nowMs)) continue;
      due.push(sent.frame);
      sent.sentMs = nowMs;
      sent.repeats += 1;
      sent.passedBy = 0;
    }
    return due;
  }

  /** The connection was lost, and with it everything that was on its way. */
  expireAll(nowMs: number): void {
    for (const sent of this.#sent.values()) sent.sentMs = -Infinity;
    this.#progressMs = nowMs;
  }

  /** For how long frames have been waiting without any of them being acknowledged. */
  stalledMs(nowMs: number): number {
    return this.#sent.size === 0 ? 0 : nowMs - this.#progressMs;
  }

  #isDue(sent: Sent, nowMs: number): boolean {
    if (sent.passedBy >= PASSED_BY && sent.repeats === 0) return true;
    const pause = Math.min(LONGEST_PAUSE_MS, this.timeoutMs * 2 ** Math.min(sent.repeats, 10));
    return nowMs - sent.sentMs >= pause;
  }

  #learn(elapsedMs: number): void {
    if (this.#smoothedMs === undefined) {
      this.#smoothedMs = elapsedMs;
      this.#variationMs = elapsedMs / 2;
      return;
    }
    this.#variationMs = (3 * this.#variationMs + Math.abs(this.#smoothedMs - elapsedMs)) / 4;
    this.#smoothedMs = (7 * this.#smoothedMs + elapsedMs) / 8;
  }
}
