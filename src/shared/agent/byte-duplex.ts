/** The least that a peer needs of a connection. */
export interface ByteDuplex {
  /** Hands over bytes that the caller will not change; false asks the caller to wait for `onDrain`. */
  write(bytes: Uint8Array): boolean;
  onData(listener: (bytes: Uint8Array) => void): void;
  onDrain(listener: () => void): void;
  /** Called once, also when the other side ended; with the error when there was one. */
  onClose(listener: (error?: Error) => void): void;
  destroy(): void;
}

/** What a Node socket or any other Node duplex stream has (named here because this room may not import `node:stream`). */
export interface NodeDuplexLike {
  write(bytes: Uint8Array): boolean;
  cork(): void;
  uncork(): void;
  on(event: "data", listener: (bytes: Buffer) => void): unknown;
  on(event: "drain" | "end" | "close", listener: () => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  destroy(): unknown;
}

/** Wraps a Node duplex stream. Writes of one turn of the event loop leave together in one system call. */
export function duplexOverStream(stream: NodeDuplexLike): ByteDuplex {
  let isCorked = false;
  const uncork = (): void => {
    isCorked = false;
    stream.uncork();
  };
  return {
    write: (bytes) => {
      if (!isCorked) {
        isCorked = true;
        stream.cork();
        queueMicrotask(uncork);
      }
      return stream.write(bytes);
    },
    onData: (listener) => void stream.on("data", listener),
    onDrain: (listener) => void stream.on("drain", listener),
    onClose: (listener) => {
      let isClosed = false;
      const close = (error?: Error): void => {
        if (isClosed) return;
        isClosed = true;
        listener(error);
      };
      stream.on("error", close);
      stream.on("end", () => close());
      stream.on("close", () => close());
    },
    destroy: () => void stream.destroy(),
  };
}

/** Two connected ends in memory, which deliver in later microtasks as a socket would. */
export function createDuplexPair(): readonly [ByteDuplex, ByteDuplex] {
  const left = new MemoryEnd();
  const right = new MemoryEnd();
  left.other = right;
  right.other = left;
  return [left, right];
}

class MemoryEnd implements ByteDuplex {
  other: MemoryEnd | undefined;
  #onData: ((bytes: Uint8Array) => void) | undefined;
  #onClose: ((error?: Error) => void) | undefined;
  #isClosed = false;

  write(bytes: Uint8Array): boolean {
    queueMicrotask(() => this.other?.deliver(bytes));
    return true;
  }

  deliver(bytes: Uint8Array): void {
    if (!this.#isClosed) this.#onData?.(bytes);
  }

  onData(listener: (bytes: Uint8Array) => void): void {
    this.#onData = listener;
  }

  onDrain(): void {
    // Memory never fills up here: write always answers true.
  }

  onClose(listener: (error?: Error) => void): void {
    this.#onClose = listener;
  }

  destroy(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    queueMicrotask(() => {
      this.#onClose?.();
      this.other?.destroy();
    });
  }
}
