import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, open, readlink, rm, symlink, type FileHandle } from "node:fs/promises";
import { dirname, isAbsolute, join, normalize, relative, resolve } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createInflateRaw } from "node:zlib";
import { OperationFailedError } from "../shared/errors.ts";

interface Entry {
  readonly name: string;
  readonly deflated: boolean;
  readonly compressedSize: number;
  readonly size: number;
  readonly offset: number;
  readonly isLink: boolean;
  readonly mode: number;
}

const MAX_32 = 0xffff_ffff;
const MAX_16 = 0xffff;

export interface UnzipOptions {
  /** Where an entry goes, relative to the target folder; undefined leaves it out. */
  readonly place: (name: string) => string | undefined;
}

/** Unpacks an archive below a folder. An entry or link that would leave the folder is an error. */
export async function unzip(path: string, target: string, options: UnzipOptions): Promise<readonly string[]> {
  const file = await open(path, "r");
  try {
    const written: string[] = [];
    for (const entry of await readDirectory(file)) {
      const place = options.place(entry.name);
      if (place === undefined) continue;
      const destination = inside(target, place);
      await extract(file, path, entry, { destination, target });
      if (!entry.name.endsWith("/")) written.push(destination);
    }
    return written;
  } finally {
    await file.close();
  }
}

function damaged(detail: string): OperationFailedError {
  return new OperationFailedError(`The downloaded archive is damaged: ${detail}.`, { hint: "try again" });
}

/** The absolute path of `place` under `target`; throws when it is elsewhere. */
function inside(target: string, place: string): string {
  const destination = resolve(target, normalize(place));
  const way = relative(target, destination);
  if (isAbsolute(place) || way === ".." || way.startsWith("../")) throw damaged(`${place} leads out of the folder`);
  return destination;
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, position);
  if (bytesRead !== length) throw damaged("it ends too early");
  return buffer;
}

async function readDirectory(file: FileHandle): Promise<readonly Entry[]> {
  const { size } = await file.stat();
  const tailLength = Math.min(size, 22 + MAX_16);
  const tail = await readAt(file, size - tailLength, tailLength);
  const end = tail.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
  if (end === -1) throw damaged("it has no directory");
  let count = tail.readUInt16LE(end + 10);
  let length = tail.readUInt32LE(end + 12);
  let offset = tail.readUInt32LE(end + 16);
  if (count === MAX_16 || length === MAX_32 || offset === MAX_32) {
    const locator = tail.lastIndexOf(Buffer.from([0x50, 0x4b, 0x06, 0x07]));
    if (locator === -1) throw damaged("its 64-bit directory is missing");
    const record = await readAt(file, Number(tail.readBigUInt64LE(locator + 8)), 56);
    count = Number(record.readBigUInt64LE(32));
    length = Number(record.readBigUInt64LE(40));
    offset = Number(record.readBigUInt64LE(48));
  }
  return parseDirectory(await readAt(file, offset, length), count);
}

function parseDirectory(directory: Buffer, count: number): readonly Entry[] {
  const entries: Entry[] = [];
  let at = 0;
  for (let index = 0; index < count; index += 1) {
    if (at + 46 > directory.length || directory.readUInt32LE(at) !== 0x02_01_4b_50)
      throw damaged("its directory is cut");
    const nameLength = directory.readUInt16LE(at + 28);
    const extraLength = directory.readUInt16LE(at + 30);
    const commentLength = directory.readUInt16LE(at + 32);
    const name = directory.toString("utf8", at + 46, at + 46 + nameLength);
    const extra = directory.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength);
    const raw = [directory.readUInt32LE(at + 24), directory.readUInt32LE(at + 20), directory.readUInt32LE(at + 42)];
    const [size = 0, compressedSize = 0, offset = 0] = widen(raw, extra);
    const mode = directory.readUInt32LE(at + 38) >>> 16;
    const isLink = (mode & 0o170000) === 0o120000;
    entries.push({ name, deflated: directory.readUInt16LE(at + 10) === 8, compressedSize, size, offset, isLink, mode });
    at += 46 + nameLength + extraLength + commentLength;
  }
  return entries;
}

/** Takes numbers that did not fit from the ZIP64 field, in the order of the format. */
function widen(values: readonly number[], extra: Buffer): readonly number[] {
  let at = 0;
  while (at + 4 <= extra.length) {
    const id = extra.readUInt16LE(at);
    const length = extra.readUInt16LE(at + 2);
    if (id === 1) {
      let next = at + 4;
      return values.map((value) => {
        if (value !== MAX_32) return value;
        const wide = Number(extra.readBigUInt64LE(next));
        next += 8;
        return wide;
      });
    }
    at += 4 + length;
  }
  return values;
}

async function extract(
  file: FileHandle,
  path: string,
  entry: Entry,
  options: { readonly destination: string; readonly target: string },
): Promise<void> {
  const { destination, target } = options;
  if (entry.name.endsWith("/")) {
    await mkdir(destination, { recursive: true });
    return;
  }
  await mkdir(dirname(destination), { recursive: true });
  await refuseLinkAt(destination);
  const header = await readAt(file, entry.offset, 30);
  const start = entry.offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
  if (entry.isLink) {
    const link = (await readAt(file, start, entry.compressedSize)).toString("utf8");
    inside(target, relative(target, join(dirname(destination), link)));
    await rm(destination, { force: true });
    await symlink(link, destination);
    return;
  }
  const output = createWriteStream(destination, { mode: entry.mode & 0o777 || 0o644 });
  if (entry.compressedSize === 0) {
    output.end();
    await new Promise<void>((done, fail) => output.once("close", done).once("error", fail));
    return;
  }
  const input = createReadStream(path, { start, end: start + entry.compressedSize - 1 });
  if (entry.deflated) await pipeline(input, createInflateRaw(), atMost(entry), output);
  else await pipeline(input, output);
}

/** A link that an earlier entry made must not redirect a later one. */
async function refuseLinkAt(destination: string): Promise<void> {
  try {
    await readlink(destination);
  } catch {
    return;
  }
  await rm(destination);
}

/** Stops a small archive from becoming an endless file. */
function atMost(entry: Entry): Transform {
  let left = entry.size;
  return new Transform({
    transform(chunk: Buffer, _encoding, done): void {
      left -= chunk.length;
      if (left < 0) done(damaged(`${entry.name} is larger than it says`));
      else done(null, chunk);
    },
  });
}
