/** Buffers of one size that are used again: taken anew each time they would wait for the collector, which comes by seldom for what is not on its heap. */
export class Buffers {
  readonly #bytes: number;
  readonly #free: Buffer<ArrayBuffer>[] = [];

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** Lends one to `work`, cut to `length`. */
  async with<T>(length: number, work: (buffer: Buffer<ArrayBuffer>) => Promise<T>): Promise<T> {
    const whole = this.#free.pop() ?? Buffer.allocUnsafe(this.#bytes);
    try {
      return await work(whole.subarray(0, length));
    } finally {
      this.#free.push(whole);
    }
  }
}
