/** Records of the ZIP format (APPNOTE 6.3.9), as far as we write them. ZIP64 fields are added only where a number does not fit. */

export interface ZipRecord {
  /** `/`-separated; a directory ends in `/`. */
  readonly name: string;
  readonly method: "stored" | "deflated";
  /** Unix mode with the file type bits. */
  readonly mode: number;
  readonly modifiedMs: number;
  readonly crc: number;
  /** Bytes. */
  readonly compressedSize: number;
  readonly size: number;
  /** Where the local header starts. */
  readonly offset: number;
}

const MAX_32 = 0xffff_ffff;
const MAX_16 = 0xffff;
const UNIX = 3;
const UTF8_FLAG = 0x0800;
const VERSION = 20;
const VERSION_ZIP64 = 45;

/** A local header. `large` reserves ZIP64 sizes, so that the header keeps its length whatever the sizes become. */
export function localHeader(record: ZipRecord, large: boolean): Buffer {
  const name = Buffer.from(record.name);
  const extra = large ? zip64Extra([record.size, record.compressedSize]) : Buffer.alloc(0);
  const header = Buffer.alloc(30);
  header.writeUInt32LE(0x04_03_4b_50, 0);
  header.writeUInt16LE(large ? VERSION_ZIP64 : VERSION, 4);
  header.writeUInt16LE(UTF8_FLAG, 6);
  header.writeUInt16LE(record.method === "deflated" ? 8 : 0, 8);
  header.writeUInt32LE(dosTime(record.modifiedMs), 10);
  header.writeUInt32LE(record.crc, 14);
  header.writeUInt32LE(large ? MAX_32 : record.compressedSize, 18);
  header.writeUInt32LE(large ? MAX_32 : record.size, 22);
  header.writeUInt16LE(name.length, 26);
  header.writeUInt16LE(extra.length, 28);
  return Buffer.concat([header, name, extra]);
}

/** An entry of the central directory. */
export function centralHeader(record: ZipRecord): Buffer {
  const name = Buffer.from(record.name);
  const large = [record.size, record.compressedSize, record.offset].filter((value) => value >= MAX_32);
  const extra = large.length > 0 ? zip64Extra(large) : Buffer.alloc(0);
  const header = Buffer.alloc(46);
  header.writeUInt32LE(0x02_01_4b_50, 0);
  header.writeUInt16LE((UNIX << 8) | VERSION_ZIP64, 4);
  header.writeUInt16LE(large.length > 0 ? VERSION_ZIP64 : VERSION, 6);
  header.writeUInt16LE(UTF8_FLAG, 8);
  header.writeUInt16LE(record.method === "deflated" ? 8 : 0, 10);
  header.writeUInt32LE(dosTime(record.modifiedMs), 12);
  header.writeUInt32LE(record.crc, 16);
  header.writeUInt32LE(Math.min(record.compressedSize, MAX_32), 20);
  header.writeUInt32LE(Math.min(record.size, MAX_32), 24);
  header.writeUInt16LE(name.length, 28);
  header.writeUInt16LE(extra.length, 30);
  const isDirectory = record.name.endsWith("/") ? 0x10 : 0;
  header.writeUInt32LE((((record.mode & MAX_16) << 16) | isDirectory) >>> 0, 38);
  header.writeUInt32LE(Math.min(record.offset, MAX_32), 42);
  return Buffer.concat([header, name, extra]);
}

/** What closes the archive: the ZIP64 records when a number needs them, and the end record. */
export function endRecords(entries: number, directorySize: number, directoryOffset: number): Buffer {
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06_05_4b_50, 0);
  end.writeUInt16LE(Math.min(entries, MAX_16), 8);
  end.writeUInt16LE(Math.min(entries, MAX_16), 10);
  end.writeUInt32LE(Math.min(directorySize, MAX_32), 12);
  end.writeUInt32LE(Math.min(directoryOffset, MAX_32), 16);
  if (entries < MAX_16 && directorySize < MAX_32 && directoryOffset < MAX_32) return end;
  const record = Buffer.alloc(56);
  record.writeUInt32LE(0x06_06_4b_50, 0);
  record.writeBigUInt64LE(44n, 4);
  record.writeUInt16LE((UNIX << 8) | VERSION_ZIP64, 12);
  record.writeUInt16LE(VERSION_ZIP64, 14);
  record.writeBigUInt64LE(BigInt(entries), 24);
  record.writeBigUInt64LE(BigInt(entries), 32);
  record.writeBigUInt64LE(BigInt(directorySize), 40);
  record.writeBigUInt64LE(BigInt(directoryOffset), 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07_06_4b_50, 0);
  locator.writeBigUInt64LE(BigInt(directoryOffset + directorySize), 8);
  locator.writeUInt32LE(1, 16);
  return Buffer.concat([record, locator, end]);
}

function zip64Extra(values: readonly number[]): Buffer {
  const extra = Buffer.alloc(4 + values.length * 8);
  extra.writeUInt16LE(1, 0);
  extra.writeUInt16LE(values.length * 8, 2);
  for (const [index, value] of values.entries()) extra.writeBigUInt64LE(BigInt(value), 4 + index * 8);
  return extra;
}

/** Local time in MS-DOS form, date in the upper half; the format knows 1980 to 2107. */
function dosTime(ms: number): number {
  const time = new Date(ms);
  const year = Math.min(Math.max(time.getFullYear(), 1980), 2107);
  const date = ((year - 1980) << 9) | ((time.getMonth() + 1) << 5) | time.getDate();
  const clock = (time.getHours() << 11) | (time.getMinutes() << 5) | Math.floor(time.getSeconds() / 2);
  return ((date << 16) | clock) >>> 0;
}
