import type { FileHandle } from "node:fs/promises";
import { InvalidValueError } from "../../shared/errors.ts";

const EOCD = 0x06054b50;
const EOCD64 = 0x06064b50;
const EOCD64_LOCATOR = 0x07064b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
const MAX_COMMENT = 0xffff;
const MAX_U16 = 0xffff;
const MAX_U32 = 0xffffffff;
const UNIX_FILE_TYPE = 0o170000;
const UNIX_LINK = 0o120000;

export interface ZipEntry {
  /** As it stands in the archive; not checked. */
  readonly name: string;
  readonly kind: "file" | "dir" | "link";
  /** Permission bits; 0 when the archive has none. */
  readonly mode: number;
  /** 0 = stored, 8 = deflated. */
  readonly method: number;
  readonly crc32: number;
  readonly compressedSize: number;
  readonly size: number;
  readonly localHeaderOffset: number;
}

/** Reads the table of contents. Throws InvalidValueError for anything that is not a sound zip of at most `maxEntries`. */
export async function readZipEntries(file: FileHandle, options: { readonly maxEntries: number }): Promise<ZipEntry[]> {
  const { size } = await file.stat();
  const directory = await findDirectory(file, size);
  if (directory.count > options.maxEntries) throw bad(`it has more than ${options.maxEntries} entries`);
  if (directory.offset + directory.size > size) throw bad("its directory is cut off");
  const bytes = await readAt(file, directory.offset, directory.size);
  const entries: ZipEntry[] = [];
  let position = 0;
  for (let index = 0; index < directory.count; index++) {
    if (position + 46 > bytes.length || bytes.readUInt32LE(position) !== CENTRAL) throw bad("its directory is damaged");
    const end =
      position +
      46 +
      bytes.readUInt16LE(position + 28) +
      bytes.readUInt16LE(position + 30) +
      bytes.readUInt16LE(position + 32);
    if (end > bytes.length) throw bad("its directory is damaged");
    entries.push(readEntry(bytes.subarray(position, end)));
    position = end;
  }
  return entries;
}

/** Where the content of an entry begins: the local header's own name and extra field may be longer than the directory's. */
export async function contentOffset(file: FileHandle, entry: ZipEntry): Promise<number> {
  const header = await readAt(file, entry.localHeaderOffset, 30);
  if (header.readUInt32LE(0) !== LOCAL) throw bad("an entry's header is damaged");
  return entry.localHeaderOffset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
}

interface Directory {
  readonly count: number;
  readonly size: number;
  readonly offset: number;
}

async function findDirectory(file: FileHandle, fileSize: number): Promise<Directory> {
  const length = Math.min(fileSize, 22 + MAX_COMMENT);
  const tail = await readAt(file, fileSize - length, length);
  for (let position = length - 22; position >= 0; position--) {
    if (tail.readUInt32LE(position) !== EOCD) continue;
    const directory = {
      count: tail.readUInt16LE(position + 10),
      size: tail.readUInt32LE(position + 12),
      offset: tail.readUInt32LE(position + 16),
    };
    const isLarge = directory.count === MAX_U16 || directory.size === MAX_U32 || directory.offset === MAX_U32;
    return isLarge ? await findLargeDirectory(file, fileSize - length + position, directory) : directory;
  }
  throw bad("it has no end record");
}

async function findLargeDirectory(file: FileHandle, endRecord: number, small: Directory): Promise<Directory> {
  if (endRecord < 20) return small;
  const locator = await readAt(file, endRecord - 20, 20);
  if (locator.readUInt32LE(0) !== EOCD64_LOCATOR) return small;
  const record = await readAt(file, toSafe(locator.readBigUInt64LE(8)), 56);
  if (record.readUInt32LE(0) !== EOCD64) throw bad("its ZIP64 record is damaged");
  return {
    count: toSafe(record.readBigUInt64LE(32)),
    size: toSafe(record.readBigUInt64LE(40)),
    offset: toSafe(record.readBigUInt64LE(48)),
  };
}

function readEntry(bytes: Buffer): ZipEntry {
  const flags = bytes.readUInt16LE(8);
  if ((flags & 1) !== 0) throw bad("it is encrypted");
  const nameLength = bytes.readUInt16LE(28);
  const name = bytes.subarray(46, 46 + nameLength).toString("utf8");
  const extra = bytes.subarray(46 + nameLength, 46 + nameLength + bytes.readUInt16LE(30));
  const unixMode = bytes.readUInt32LE(38) >>> 16;
  const sizes = readSizes(bytes, extra);
  const isLink = (unixMode & UNIX_FILE_TYPE) === UNIX_LINK;
  const isFile = !name.endsWith("/");
  return {
    name,
    kind: isLink ? "link" : isFile ? "file" : "dir",
    mode: unixMode & 0o777,
    method: bytes.readUInt16LE(10),
    crc32: bytes.readUInt32LE(16),
    ...sizes,
  };
}

/** The sizes and the offset, from the ZIP64 field where the plain ones are full. */
function readSizes(
  bytes: Buffer,
  extra: Buffer,
): { readonly size: number; readonly compressedSize: number; readonly localHeaderOffset: number } {
  let size = bytes.readUInt32LE(24);
  let compressedSize = bytes.readUInt32LE(20);
  let localHeaderOffset = bytes.readUInt32LE(42);
  for (let position = 0; position + 4 <= extra.length;) {
    const id = extra.readUInt16LE(position);
    const end = position + 4 + extra.readUInt16LE(position + 2);
    if (end > extra.length) throw bad("an extra field is damaged");
    let next = position + 4;
    const take = (value: number): number => {
      if (id !== 1 || value !== MAX_U32) return value;
      if (next + 8 > end) throw bad("a ZIP64 field is damaged");
      next += 8;
      return toSafe(extra.readBigUInt64LE(next - 8));
    };
    size = take(size);
    compressedSize = take(compressedSize);
    localHeaderOffset = take(localHeaderOffset);
    position = end;
  }
  return { size, compressedSize, localHeaderOffset };
}

async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  if (offset < 0) throw bad("it is too short");
  const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, offset);
  if (bytesRead !== length) throw bad("it is cut off");
  return buffer;
}

function toSafe(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw bad("a size is impossible");
  return Number(value);
}

export function bad(reason: string): InvalidValueError {
  return new InvalidValueError(`The uploaded file is not a usable zip archive: ${reason}.`, {
    hint: "Repeat the command; the files are then packed and uploaded again.",
  });
}
