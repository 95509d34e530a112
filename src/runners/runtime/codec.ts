import { open } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { promisify } from "node:util";
import { constants, gzip, zstdCompress } from "node:zlib";

export type Codec = "raw" | "zstd" | "gzip";

/** A part is compressed by itself, so that several are at the same time, and the first can leave before the last is done. */
const PART = 2 * 1024 * 1024;
const PARALLEL = Math.min(4, availableParallelism());
/** The buffers into which a part is compressed. */
const CHUNK = 256 * 1024;

const byZstd = promisify(zstdCompress);
const byGzip = promisify(gzip);

/** What `zstd -d` or `gzip -d` make bytes of; what is encoded in parts may be put together. */
export function encode(bytes: Uint8Array, codec: Codec): Promise<Uint8Array> {
  if (codec === "raw") return Promise.resolve(bytes);
  if (codec === "zstd") return byZstd(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 3 }, chunkSize: CHUNK });
  // The fastest level: a higher one takes longer than it saves on any link faster than a modem.
  return byGzip(bytes, { level: 1, chunkSize: CHUNK });
}

/** A file's content, encoded part by part, in order. */
export async function* encodeFile(path: string, codec: Codec): AsyncGenerator<Uint8Array, void> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    // Used again and again: the garbage collector would be busy with as many as there are parts.
    const buffers = Array.from({ length: PARALLEL }, () => Buffer.allocUnsafeSlow(PART));
    const parts: { readonly encoded: Promise<Uint8Array>; readonly buffer: Buffer<ArrayBuffer> }[] = [];
    for (let offset = 0; offset < size || parts.length > 0;) {
      const buffer = offset < size ? buffers.pop() : undefined;
      if (buffer === undefined) {
        const part = parts.shift();
        if (part === undefined) return;
        yield await part.encoded;
        buffers.push(part.buffer);
        continue;
      }
      const bytes = buffer.subarray(0, Math.min(PART, size - offset));
      const { bytesRead } = await file.read(bytes, 0, bytes.length, offset);
      if (bytesRead < bytes.length) throw new Error(`${path} changes while it is read.`);
      offset += bytesRead;
      parts.push({ encoded: encode(bytes, codec), buffer });
    }
  } finally {
    await file.close();
  }
}
