import { createHash } from "node:crypto";
import { constants, createReadStream, lstatSync, rmSync } from "node:fs";
import { open, rename, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import { PART_STEP_BYTES, type SyncEntry } from "../../shared/agent/protocol.ts";

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } = constants;

/** Where a large file grows. The name is always the same, so that a sync that is repeated after a cut finds it. */
export function partPath(path: string): string {
  const name = basename(path);
  const readable = Buffer.from(name)
    .subarray(0, 100)
    .toString("latin1")
    .replaceAll(/[^\w.-]/g, "_");
  const id = createHash("sha256").update(name).digest("hex").slice(0, 8);
  return join(dirname(path), `.${readable}.${id}.sky-part`);
}

/** Hashes of the part's beginnings, one for each whole step; empty when there is no part. */
export async function hashPart(part: string): Promise<readonly string[]> {
  const stats = lstatSync(part, { throwIfNoEntry: false });
  if (stats?.isFile() !== true || stats.size < PART_STEP_BYTES) return [];
  const end = stats.size - (stats.size % PART_STEP_BYTES) - 1;
  const hash = createHash("sha256");
  const marks: string[] = [];
  let bytes = 0;
  for await (const chunk of createReadStream(part, { end, highWaterMark: PART_STEP_BYTES / 8 })) {
    hash.update(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    if (bytes % PART_STEP_BYTES === 0) marks.push(hash.copy().digest("hex"));
  }
  return marks;
}

export interface PartPlace {
  readonly entry: SyncEntry;
  readonly path: string;
  readonly part: string;
}

/** A large file that comes piece by piece. */
export class PartFile {
  readonly #place: PartPlace;
  readonly #file: FileHandle;
  #bytes: number;

  private constructor(place: PartPlace, file: FileHandle, bytes: number) {
    this.#place = place;
    this.#file = file;
    this.#bytes = bytes;
  }

  /** Goes on with a part at an offset, which it must have reached; at 0 a new one begins. */
  static async open(place: PartPlace, offset: number): Promise<PartFile> {
    if (offset === 0) rmSync(place.part, { force: true });
    const file = await open(place.part, O_RDWR | O_NOFOLLOW | (offset === 0 ? O_CREAT | O_EXCL : 0), 0o600);
    const part = new PartFile(place, file, offset);
    try {
      if ((await file.stat()).size < offset) throw outOfOrder();
      await file.truncate(offset);
      return part;
    } catch (error) {
      await part.close();
      throw error;
    }
  }

  get isComplete(): boolean {
    return this.#bytes === this.#place.entry.size;
  }

  async write(offset: number, content: Uint8Array): Promise<void> {
    if (offset !== this.#bytes || offset + content.length > this.#place.entry.size) throw outOfOrder();
    for (let done = 0; done < content.length;) {
      done += (await this.#file.write(content, done, content.length - done, offset + done)).bytesWritten;
    }
    this.#bytes += content.length;
  }

  /** Puts the complete file in its place. */
  async place(): Promise<void> {
    const { entry, path, part } = this.#place;
    const { mode, mtimeMs } = entry;
    await this.#file.chmod(mode & 0o7777);
    await this.#file.utimes(mtimeMs / 1000, mtimeMs / 1000);
    await this.#file.close();
    await rename(part, path);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

function outOfOrder(): AgentPeerError {
  return new AgentPeerError("BAD_PARAMS", "The content of the files came out of order.");
}
