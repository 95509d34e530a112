import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, open, readlink, realpath, symlink, type FileHandle } from "node:fs/promises";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { Transform, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { crc32, createInflateRaw } from "node:zlib";
import { bad, contentOffset, readZipEntries, type ZipEntry } from "./zip-reader.ts";

const MAX_ENTRIES = 2_000_000;
const MAX_LINK_BYTES = 4096;

export interface UnzipOptions {
  /** Bytes that all files may have together when unpacked. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
}

/**
 * Unpacks a zip into a directory, which must be new and ours. Names that leave it, links that lead out of it and entries whose
 * content is not what the directory says are refused with InvalidValueError; the caller then removes the directory.
 */
export async function unzip(archive: string, target: string, options: UnzipOptions): Promise<void> {
  const file = await open(archive, "r");
  try {
    const entries = await readZipEntries(file, { maxEntries: MAX_ENTRIES });
    const total = entries.reduce((sum, entry) => sum + entry.size, 0);
    if (total > options.maxBytes)
      throw bad(`unpacked it has ${total} bytes, more than the ${options.maxBytes} allowed`);
    const root = resolve(target);
    await mkdir(root, { recursive: true, mode: 0o700 });
    const links: { readonly entry: ZipEntry; readonly path: string }[] = [];
    for (const entry of entries) {
      options.signal?.throwIfAborted();
      const path = safePath(root, entry.name);
      if (entry.kind === "link") links.push({ entry, path });
      else if (entry.kind === "dir") await mkdir(path, { recursive: true, mode: 0o755 });
      else await extractFile(file, { archive, entry, path, signal: options.signal });
    }
    // Links come last: while files are written, every directory on their way is a real one.
    for (const { entry, path } of links) await extractLink(file, { archive, entry, path, root });
    for (const { path } of links) await assertLinkInside(path, root);
  } catch (error) {
    throw isArchivesFault(error) ? bad((error as Error).message) : error;
  } finally {
    await file.close();
  }
}

/** Broken compressed data, or entries that stand in each other's way: one name twice, a file where a directory has to be. */
function isArchivesFault(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return /^(?:Z_|ERR_BUFFER|EEXIST$|ENOTDIR$|EISDIR$|ENAMETOOLONG$|EINVAL$)/.test(code);
}

/** Where an entry goes. Throws InvalidValueError for a name that is empty, absolute, or climbs. */
export function safePath(root: string, name: string): string {
  const parts = name.replace(/\/$/, "").split("/");
  const isBad =
    name === "" ||
    isAbsolute(name) ||
    name.includes("\0") ||
    parts.some((part) => part === "" || part === "." || part === "..");
  if (isBad) throw bad(`the name ${JSON.stringify(name.slice(0, 200))} is not allowed`);
  return join(root, ...parts);
}

interface Extraction {
  readonly archive: string;
  readonly entry: ZipEntry;
  readonly path: string;
}

async function extractFile(
  file: FileHandle,
  options: Extraction & { readonly signal: AbortSignal | undefined },
): Promise<void> {
  const { entry, path } = options;
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  const mode = (entry.mode === 0 ? 0o644 : entry.mode) | 0o600;
  const chunks = await openContent(file, options);
  // `wx` refuses to write through something that is there already.
  const output = createWriteStream(path, { flags: "wx", mode });
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  await pipeline([...chunks, verifier(entry), output], signal);
}

async function extractLink(file: FileHandle, options: Extraction & { readonly root: string }): Promise<void> {
  const { entry, path, root } = options;
  if (entry.size > MAX_LINK_BYTES) throw bad("a link is too long");
  const parts: Buffer[] = [];
  const collect = verifier(entry);
  collect.on("data", (chunk: Buffer) => parts.push(chunk));
  await pipeline([...(await openContent(file, options)), collect]);
  const target = Buffer.concat(parts).toString("utf8");
  if (target === "" || isAbsolute(target) || !isInside(root, resolve(dirname(path), target))) {
    throw bad(`the link ${JSON.stringify(entry.name)} leads out of the archive`);
  }
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  await symlink(target, path);
}

/** Each link alone may stay inside while a chain of them does not, so the real target counts. */
async function assertLinkInside(path: string, root: string): Promise<void> {
  let real: string;
  try {
    real = await realpath(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ELOOP")) return;
    throw error;
  }
  if (!isInside(await realpath(root), real)) throw bad(`the link ${await readlink(path)} leads out of the archive`);
}

function isInside(root: string, path: string): boolean {
  const rest = relative(root, path);
  return rest === "" || (rest !== ".." && !rest.startsWith(`..${sep}`) && !isAbsolute(rest));
}

async function openContent(file: FileHandle, options: Extraction): Promise<(Readable | Transform)[]> {
  const { entry } = options;
  if (entry.method !== 0 && entry.method !== 8) throw bad(`compression method ${entry.method} is not supported`);
  const start = await contentOffset(file, entry);
  const source = createReadStream(options.archive, {
    start,
    // An empty range cannot be expressed, so an empty entry is read as nothing at all.
    end: Math.max(start, start + entry.compressedSize - 1),
  });
  const limited = entry.compressedSize === 0 ? emptied(source) : source;
  return entry.method === 0 ? [limited] : [limited, createInflateRaw()];
}

function emptied(source: Readable): Readable {
  source.destroy();
  return new Transform({}).end();
}

/** Passes content on and checks that size and checksum are as promised, so that no entry can be larger than declared. */
function verifier(entry: ZipEntry): Transform {
  let size = 0;
  let checksum = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      if (size > entry.size) {
        done(bad(`the entry ${JSON.stringify(entry.name)} is larger than declared`));
        return;
      }
      checksum = crc32(chunk, checksum);
      done(null, chunk);
    },
    flush(done) {
      const isSound = size === entry.size && checksum === entry.crc32;
      done(isSound ? null : bad(`the entry ${JSON.stringify(entry.name)} is damaged`));
    },
  });
}
