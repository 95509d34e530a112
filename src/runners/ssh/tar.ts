import { createReadStream } from "node:fs";

/** A file of an archive; its content has exactly `size` bytes. */
export interface TarEntry {
  /** At most 100 bytes. */
  readonly name: string;
  readonly mode: number;
  readonly size: number;
  /** Bytes, or the path of a file. */
  readonly content: Uint8Array | string;
}

const BLOCK = 512;

/** The bytes of a tar archive (ustar) with these files, as every `tar -x` reads it. */
export async function* writeTar(entries: readonly TarEntry[]): AsyncGenerator<Uint8Array> {
  for (const entry of entries) {
    yield header(entry);
    let written = 0;
    for await (const chunk of contentOf(entry)) {
      written += chunk.length;
      yield chunk;
    }
    if (written !== entry.size) throw new Error(`${entry.name} has ${written} bytes instead of ${entry.size}.`);
    yield Buffer.alloc((BLOCK - (entry.size % BLOCK)) % BLOCK);
  }
  yield Buffer.alloc(2 * BLOCK);
}

async function* contentOf({ content }: TarEntry): AsyncGenerator<Uint8Array> {
  if (content instanceof Uint8Array) {
    yield content;
    return;
  }
  const stream = createReadStream(content, { highWaterMark: 256 * 1024 });
  for await (const chunk of stream) yield chunk as Buffer;
}

function header({ name, mode, size }: TarEntry): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, length: number): string => `${value.toString(8).padStart(length - 1, "0")}\0`;
  block.write(name, 0, 100);
  block.write(octal(mode, 8), 100);
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  block.write(octal(size, 12), 124);
  block.write(octal(0, 12), 136);
  // The checksum is counted with spaces in its own place.
  block.write("        ", 148);
  block.write("0", 156);
  block.write("ustar\x0000", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}
