import { open, type FileHandle } from "node:fs/promises";
import { createReadStream } from "node:fs";
import { crc32, createDeflateRaw } from "node:zlib";
import { centralHeader, endRecords, localHeader, type ZipRecord } from "./zip-format.ts";

/** One thing to store: a directory, a symbolic link with its target, or a file of this machine. */
export type ZipSource =
  | { readonly kind: "directory"; readonly name: string; readonly mode: number; readonly modifiedMs: number }
  | { readonly kind: "link"; readonly name: string; readonly target: string; readonly modifiedMs: number }
  | {
      readonly kind: "file";
      readonly name: string;
      readonly path: string;
      readonly mode: number;
      readonly modifiedMs: number;
      /** Bytes when it was listed; only a guess of what will be read. */
      readonly size: number;
    };

const S_IFDIR = 0o040000;
const S_IFLNK = 0o120000;
const S_IFREG = 0o100000;
/** A file that may grow beyond 4 GiB while it is read gets ZIP64 sizes. */
const LARGE = 0xf000_0000;

/**
 * Writes an archive to `path`, one file at a time with constant memory. A file that changes meanwhile is stored as it was read: the
 * headers are written after the content.
 */
export async function writeZip(
  path: string,
  sources: Iterable<ZipSource>,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<{ readonly size: number }> {
  const file = await open(path, "wx", 0o600);
  try {
    const records: ZipRecord[] = [];
    let offset = 0;
    for (const source of sources) {
      options.signal?.throwIfAborted();
      const { record, end } = await writeEntry(file, source, offset);
      records.push(record);
      offset = end;
    }
    const size = await writeDirectory(file, records, offset);
    return { size };
  } finally {
    await file.close();
  }
}

async function writeEntry(
  file: FileHandle,
  source: ZipSource,
  offset: number,
): Promise<{ record: ZipRecord; end: number }> {
  if (source.kind === "file") return await writeFile(file, source, offset);
  const content = source.kind === "link" ? Buffer.from(source.target) : Buffer.alloc(0);
  const record: ZipRecord = {
    name: source.name,
    method: "stored",
    mode: source.kind === "link" ? S_IFLNK | 0o777 : S_IFDIR | (source.mode & 0o7777),
    modifiedMs: source.modifiedMs,
    crc: crc32(content),
    compressedSize: content.length,
    size: content.length,
    offset,
  };
  const bytes = Buffer.concat([localHeader(record, false), content]);
  await writeAt(file, bytes, offset);
  return { record, end: offset + bytes.length };
}

async function writeFile(
  file: FileHandle,
  source: Extract<ZipSource, { kind: "file" }>,
  offset: number,
): Promise<{ record: ZipRecord; end: number }> {
  const large = source.size >= LARGE;
  const draft: ZipRecord = {
    name: source.name,
    method: "deflated",
    mode: S_IFREG | (source.mode & 0o7777),
    modifiedMs: source.modifiedMs,
    crc: 0,
    compressedSize: 0,
    size: 0,
    offset,
  };
  const start = offset + localHeader(draft, large).length;
  let position = start;
  let crc = 0;
  let size = 0;
  const input = createReadStream(source.path, { highWaterMark: 256 * 1024 });
  const deflate = createDeflateRaw();
  input.on("data", (chunk) => {
    const bytes = chunk as Buffer;
    crc = crc32(bytes, crc);
    size += bytes.length;
  });
  input.once("error", (error) => deflate.destroy(error));
  input.pipe(deflate);
  for await (const chunk of deflate) {
    await writeAt(file, chunk as Buffer, position);
    position += (chunk as Buffer).length;
  }
  const record: ZipRecord = { ...draft, crc, size, compressedSize: position - start };
  await writeAt(file, localHeader(record, large), offset);
  return { record, end: position };
}

async function writeDirectory(file: FileHandle, records: readonly ZipRecord[], offset: number): Promise<number> {
  let position = offset;
  for (const record of records) {
    const header = centralHeader(record);
    await writeAt(file, header, position);
    position += header.length;
  }
  const end = endRecords(records.length, position - offset, offset);
  await writeAt(file, end, position);
  return position + end.length;
}

/** A write to a file may be short when the disk is nearly full; the next one then tells why. */
async function writeAt(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
