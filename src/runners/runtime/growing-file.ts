import { closeSync, openSync, read, renameSync, rmSync, write } from "node:fs";
import { open } from "node:fs/promises";
import { promisify } from "node:util";

const CHUNK = 512 * 1024;

/** A file that is being written, which any number of readers follow from its beginning to its end meanwhile. */
export class GrowingFile {
  readonly #final: string;
  readonly #writer: number;
  #path: string;
  #size = 0;
  /** Settles with whether this is the end, when there is more; rejects when there will be no end. */
  #growth = Promise.withResolvers<boolean>();

  /** It has another name next to `path` until it is complete. */
  constructor(path: string) {
    this.#final = path;
    this.#path = `${path}.${process.pid}.tmp`;
    this.#writer = openSync(this.#path, "w", 0o600);
    this.#growth.promise.catch(() => undefined);
  }

  async append(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += (await writeTo(this.#writer, bytes, at)).bytesWritten;
    this.#size += bytes.length;
    this.#growth.resolve(false);
    this.#growth = Promise.withResolvers<boolean>();
    this.#growth.promise.catch(() => undefined);
  }

  /** Gives the file its name. Readers that are under way go on. */
  finish(): void {
    renameSync(this.#path, this.#final);
    this.#path = this.#final;
    closeSync(this.#writer);
    this.#growth.resolve(true);
  }

  fail(error: unknown): void {
    closeSync(this.#writer);
    rmSync(this.#path, { force: true });
    this.#growth.reject(error);
  }

  /** Everything from the beginning. Bytes are valid until the next ones are asked for. */
  async *read(): AsyncGenerator<Uint8Array, void> {
    const reader = openSync(this.#path, "r");
    try {
      const buffer = Buffer.allocUnsafeSlow(CHUNK);
      let offset = 0;
      for (let isEnd = false; ;) {
        const growth = this.#growth.promise;
        while (offset < this.#size) {
          const { bytesRead } = await readFrom(reader, buffer, offset);
          if (bytesRead === 0) throw new Error(`${this.#path} was cut off.`);
          offset += bytesRead;
          yield buffer.subarray(0, bytesRead);
        }
        if (isEnd) return;
        isEnd = await growth;
      }
    } finally {
      closeSync(reader);
    }
  }
}

const writeAsync = promisify(write);
const readAsync = promisify(read);

function writeTo(file: number, bytes: Uint8Array, at: number): Promise<{ readonly bytesWritten: number }> {
  return writeAsync(file, bytes, at, bytes.length - at, null);
}

function readFrom(file: number, buffer: Buffer, offset: number): Promise<{ readonly bytesRead: number }> {
  return readAsync(file, buffer, 0, buffer.length, offset);
}

/** Everything in a file that is complete. Bytes are valid until the next ones are asked for. */
export async function* readWhole(path: string): AsyncGenerator<Uint8Array, void> {
  const file = await open(path);
  try {
    const buffer = Buffer.allocUnsafeSlow(CHUNK);
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, CHUNK, null);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}
