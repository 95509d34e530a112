import { createReadStream, type Dirent } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import { Transform } from "node:stream";
import { crc32, createDeflateRaw } from "node:zlib";

const MAX_U32 = 0xffffffff;
const MAX_U16 = 0xffff;
/** Sizes follow the content (bit 3), names are UTF-8 (bit 11). */
const FLAGS = 0x0808;
const VERSION_ZIP64 = 45;

export interface ZipSource {
  /** Absolute path of a file or directory. */
  readonly path: string;
  /** Its name in the archive, without a slash at either end. */
  readonly name: string;
}

interface WrittenEntry {
  readonly name: Buffer;
  readonly method: 0 | 8;
  readonly externalAttributes: number;
  readonly crc: number;
  readonly compressedSize: number;
  readonly size: number;
  readonly offset: number;
}

/** Writes a zip of files and whole directories as a stream; memory does not grow with the size of the files. */
export async function* writeZip(sources: readonly ZipSource[]): AsyncGenerator<Uint8Array> {
  const entries: WrittenEntry[] = [];
  let offset = 0;
  for (const source of sources) {
    for await (const item of walk(source)) {
      let entry: WrittenEntry | undefined;
      for await (const part of writeEntry(item, offset)) {
        if (part instanceof Uint8Array) {
          offset += part.length;
          yield part;
        } else {
          entry = part;
        }
      }
      if (entry !== undefined) entries.push(entry);
    }
  }
  yield writeDirectory(entries, offset);
}

interface Item {
  readonly path: string;
  readonly name: string;
  readonly kind: "file" | "dir" | "link";
  readonly mode: number;
}

async function* walk(source: ZipSource): AsyncGenerator<Item> {
  const stat = await lstat(source.path);
  const { mode } = stat;
  if (stat.isSymbolicLink()) yield { ...source, kind: "link", mode };
  else if (stat.isFile()) yield { ...source, kind: "file", mode };
  if (!stat.isDirectory()) return;
  yield { path: source.path, name: `${source.name}/`, kind: "dir", mode };
  const children: Dirent[] = await readdir(source.path, { withFileTypes: true });
  for (const child of children.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    yield* walk({ path: join(source.path, child.name), name: `${source.name}/${child.name}` });
  }
}

async function* writeEntry(item: Item, offset: number): AsyncGenerator<Uint8Array | WrittenEntry> {
  const name = Buffer.from(item.name);
  const method = item.kind === "file" ? 8 : 0;
  yield localHeader(name, method);
  let crc = 0;
  let size = 0;
  let compressedSize = 0;
  const content = await openContent(item);
  const measure = (chunk: Uint8Array): void => {
    crc = crc32(chunk, crc);
    size += chunk.length;
  };
  for await (const chunk of item.kind === "file" ? deflate(content, measure) : content) {
    if (item.kind !== "file") measure(chunk);
    compressedSize += chunk.length;
    yield chunk;
  }
  yield descriptor({ crc, size, compressedSize });
  yield { name, method, externalAttributes: (item.mode << 16) >>> 0, crc, compressedSize, size, offset };
}

async function openContent(item: Item): Promise<AsyncIterable<Uint8Array> | Iterable<Uint8Array>> {
  if (item.kind === "dir") return [];
  if (item.kind === "link") return [Buffer.from(await readlink(item.path))];
  return createReadStream(item.path, { highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>;
}

function deflate(
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  measure: (chunk: Uint8Array) => void,
): AsyncIterable<Uint8Array> {
  const measured = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      measure(chunk);
      done(null, chunk);
    },
  });
  const output = createDeflateRaw({ level: 1 });
  const source = content as NodeJS.ReadableStream & AsyncIterable<Uint8Array>;
  source.on("error", (error: Error) => output.destroy(error));
  source.pipe(measured).pipe(output);
  return output as AsyncIterable<Buffer>;
}

function localHeader(name: Buffer, method: number): Buffer {
  const header = Buffer.alloc(30);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(VERSION_ZIP64, 4);
  header.writeUInt16LE(FLAGS, 6);
  header.writeUInt16LE(method, 8);
  header.writeUInt32LE(DOS_EPOCH, 10);
  // The ZIP64 field says that the descriptor has 8-byte sizes.
  const extra = Buffer.alloc(20);
  extra.writeUInt16LE(1, 0);
  extra.writeUInt16LE(16, 2);
  header.writeUInt32LE(MAX_U32, 18);
  header.writeUInt32LE(MAX_U32, 22);
  header.writeUInt16LE(name.length, 26);
  header.writeUInt16LE(extra.length, 28);
  return Buffer.concat([header, name, extra]);
}

/** 1980-01-01 00:00, the first time that the format can say. */
const DOS_EPOCH = 0x00210000;

function descriptor(sums: { readonly crc: number; readonly size: number; readonly compressedSize: number }): Buffer {
  const bytes = Buffer.alloc(24);
  bytes.writeUInt32LE(0x08074b50, 0);
  bytes.writeUInt32LE(sums.crc, 4);
  bytes.writeBigUInt64LE(BigInt(sums.compressedSize), 8);
  bytes.writeBigUInt64LE(BigInt(sums.size), 16);
  return bytes;
}

function writeDirectory(entries: readonly WrittenEntry[], offset: number): Buffer {
  const records = entries.map(centralRecord);
  const size = records.reduce((sum, record) => sum + record.length, 0);
  const end64 = Buffer.alloc(56);
  end64.writeUInt32LE(0x06064b50, 0);
  end64.writeBigUInt64LE(44n, 4);
  end64.writeUInt16LE(VERSION_ZIP64, 12);
  end64.writeUInt16LE(VERSION_ZIP64, 14);
  end64.writeBigUInt64LE(BigInt(entries.length), 24);
  end64.writeBigUInt64LE(BigInt(entries.length), 32);
  end64.writeBigUInt64LE(BigInt(size), 40);
  end64.writeBigUInt64LE(BigInt(offset), 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(BigInt(offset + size), 8);
  locator.writeUInt32LE(1, 16);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Math.min(entries.length, MAX_U16), 8);
  end.writeUInt16LE(Math.min(entries.length, MAX_U16), 10);
  end.writeUInt32LE(Math.min(size, MAX_U32), 12);
  end.writeUInt32LE(Math.min(offset, MAX_U32), 16);
  return Buffer.concat([...records, end64, locator, end]);
}

function centralRecord(entry: WrittenEntry): Buffer {
  const extra = Buffer.alloc(28);
  extra.writeUInt16LE(1, 0);
  extra.writeUInt16LE(24, 2);
  extra.writeBigUInt64LE(BigInt(entry.size), 4);
  extra.writeBigUInt64LE(BigInt(entry.compressedSize), 12);
  extra.writeBigUInt64LE(BigInt(entry.offset), 20);
  const record = Buffer.alloc(46);
  record.writeUInt32LE(0x02014b50, 0);
  // Made on Unix: the upper half of the attributes is the mode.
  record.writeUInt16LE((3 << 8) | VERSION_ZIP64, 4);
  record.writeUInt16LE(VERSION_ZIP64, 6);
  record.writeUInt16LE(FLAGS, 8);
  record.writeUInt16LE(entry.method, 10);
  record.writeUInt32LE(DOS_EPOCH, 12);
  record.writeUInt32LE(entry.crc, 16);
  record.writeUInt32LE(MAX_U32, 20);
  record.writeUInt32LE(MAX_U32, 24);
  record.writeUInt16LE(entry.name.length, 28);
  record.writeUInt16LE(extra.length, 30);
  record.writeUInt32LE(entry.externalAttributes, 38);
  record.writeUInt32LE(MAX_U32, 42);
  return Buffer.concat([record, entry.name, extra]);
}
