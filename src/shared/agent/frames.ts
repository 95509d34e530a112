/**
 * The unit on the wire between server, agents and workers: u32 BE header length, u32 BE payload length, JSON header, raw payload. A
 * payload is handed on in the pieces in which it arrives, so that log data is never copied or gathered.
 */

/** Largest JSON header (a sync manifest of some 250,000 files). */
export const MAX_HEADER_BYTES = 32 * 1024 * 1024;
/** Largest payload of one frame; longer data goes as several frames. */
export const MAX_PAYLOAD_BYTES = 1024 * 1024;
/** A payload up to this size is copied behind its header, because one write costs more than the copy. */
const COALESCE_BYTES = 4096;
const PREFIX_BYTES = 8;

/** The peer broke the framing: nothing after it can be understood. */
export class FrameError extends Error {
  override readonly name = "FrameError";
}

/**
 * Builds a frame as one or two buffers to be written one after the other.
 * Throws FrameError when the header or the payload is over its limit.
 */
export function encodeFrame(header: unknown, payload?: Uint8Array): readonly Uint8Array[] {
  const text = JSON.stringify(header);
  const headerBytes = Buffer.byteLength(text);
  const payloadBytes = payload?.length ?? 0;
  if (headerBytes > MAX_HEADER_BYTES) {
    throw new FrameError(`A message of ${headerBytes} bytes is over the limit of ${MAX_HEADER_BYTES} bytes.`);
  }
  if (payloadBytes > MAX_PAYLOAD_BYTES) {
    throw new FrameError(`A payload of ${payloadBytes} bytes is over the limit of ${MAX_PAYLOAD_BYTES} bytes.`);
  }
  const inline = payloadBytes <= COALESCE_BYTES ? payloadBytes : 0;
  const head = Buffer.allocUnsafe(PREFIX_BYTES + headerBytes + inline);
  head.writeUInt32BE(headerBytes, 0);
  head.writeUInt32BE(payloadBytes, 4);
  head.write(text, PREFIX_BYTES, headerBytes, "utf8");
  if (payload === undefined || payloadBytes === 0) return [head];
  if (inline === 0) return [head, payload];
  head.set(payload, PREFIX_BYTES + headerBytes);
  return [head];
}

/** Receives a frame's header with the first piece of its payload, then further pieces with the same header. */
export type FrameSink = (header: unknown, piece: Uint8Array, isLast: boolean) => void;

const NOTHING = new Uint8Array(0);

/** Turns a byte stream, cut anywhere, back into frames. Holds at most one header; payload bytes pass straight through. */
export class FrameDecoder {
  readonly #sink: FrameSink;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  /** Bytes that must be at hand before the next step: the prefix, or prefix and header. */
  #wanted = PREFIX_BYTES;
  #header: unknown;
  #payloadLeft = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Takes the next bytes of the stream. Throws FrameError on a length over its limit and on a header that is not JSON. */
  push(chunk: Uint8Array): void {
    let rest = chunk;
    while (rest.length > 0) {
      rest = this.#payloadLeft > 0 ? this.#takePayload(rest) : this.#takeHead(rest);
    }
  }

  /** True between frames: a stream that ends elsewhere was cut off. */
  get isAtBoundary(): boolean {
    return this.#pendingBytes === 0 && this.#payloadLeft === 0;
  }

  #takePayload(bytes: Uint8Array): Uint8Array {
    const piece = bytes.length <= this.#payloadLeft ? bytes : bytes.subarray(0, this.#payloadLeft);
    this.#payloadLeft -= piece.length;
    this.#sink(this.#header, piece, this.#payloadLeft === 0);
    return bytes.subarray(piece.length);
  }

  #takeHead(bytes: Uint8Array): Uint8Array {
    const missing = this.#wanted - this.#pendingBytes;
    if (bytes.length < missing) {
      this.#pending.push(bytes);
      this.#pendingBytes += bytes.length;
      return NOTHING;
    }
    const head = this.#join(bytes.subarray(0, missing));
    const rest = bytes.subarray(missing);
    if (this.#wanted === PREFIX_BYTES) {
      const headerBytes = head.readUInt32BE(0);
      const payloadBytes = head.readUInt32BE(4);
      if (headerBytes < 2 || headerBytes > MAX_HEADER_BYTES || payloadBytes > MAX_PAYLOAD_BYTES) {
        throw new FrameError("The peer does not speak the agent protocol.");
      }
      this.#wanted = PREFIX_BYTES + headerBytes;
      // The prefix stays in front of the header: one buffer serves both when they arrive together.
      this.#pending = [head];
      this.#pendingBytes = PREFIX_BYTES;
      return rest;
    }
    this.#finishHeader(head);
    return rest;
  }

  #join(last: Uint8Array): Buffer {
    if (this.#pending.length === 0) return Buffer.from(last.buffer, last.byteOffset, last.length);
    return Buffer.concat([...this.#pending, last], this.#pendingBytes + last.length);
  }

  #finishHeader(head: Buffer): void {
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#wanted = PREFIX_BYTES;
    try {
      this.#header = JSON.parse(head.toString("utf8", PREFIX_BYTES));
    } catch (error) {
      throw new FrameError("The peer sent a message that is not JSON.", { cause: error });
    }
    this.#payloadLeft = head.readUInt32BE(4);
    if (this.#payloadLeft === 0) this.#sink(this.#header, NOTHING, true);
  }
}
