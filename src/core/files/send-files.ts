import { createReadStream, readFile } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { SyncEntry } from "../../shared/agent/protocol.ts";
import { OperationFailedError } from "../../shared/errors.ts";
import { unreadable } from "./walk.ts";

/** Content that goes out at once. */
const BLOCK_BYTES = 256 * 1024;
/** Larger files are read piece by piece. */
const SMALL_BYTES = 64 * 1024;
/** Small files that are read at the same time. */
const READ_AHEAD = 32;

// The promises API makes an object with a destructor for each file, which costs more than a small file.
const readWhole = promisify(readFile);

type Send = (bytes: Uint8Array) => Promise<void>;
type File = Pick<SyncEntry, "path" | "size">;

/**
 * Sends the contents of files back to back, for each exactly the bytes that the manifest has promised. Small files travel together:
 * a message for each would cost more than its content. Throws MissingFileError and OperationFailedError for what cannot be read.
 */
export async function sendFiles(root: string, files: readonly File[], send: Send): Promise<void> {
  const block = new Block(send);
  let batch: File[] = [];
  const sendBatch = async (): Promise<void> => {
    const contents = await Promise.all(batch.map((file) => readSmall(pathOf(root, file), file.size)));
    batch = [];
    for (const content of contents) await block.add(content);
  };
  for (const file of files) {
    if (file.size <= SMALL_BYTES) {
      batch.push(file);
      if (batch.length === READ_AHEAD) await sendBatch();
      continue;
    }
    await sendBatch();
    await block.flush();
    await sendLarge(pathOf(root, file), file.size, send);
  }
  await sendBatch();
  await block.flush();
}

function pathOf(root: string, { path }: File): string {
  return join(root, path);
}

/** Collects pieces until they are worth sending. */
class Block {
  readonly #send: Send;
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  constructor(send: Send) {
    this.#send = send;
  }

  async add(bytes: Uint8Array): Promise<void> {
    this.#pieces.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes >= BLOCK_BYTES) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.#bytes === 0) return;
    const block = Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#bytes = 0;
    await this.#send(block);
  }
}

async function readSmall(path: string, size: number): Promise<Uint8Array> {
  if (size === 0) return new Uint8Array();
  const content = await readWhole(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  if (content.length < size) throw becameShorter(path);
  return content.subarray(0, size);
}

async function sendLarge(path: string, size: number, send: Send): Promise<void> {
  let left = size;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: BLOCK_BYTES, end: size - 1 })) {
      left -= (chunk as Buffer).length;
      await send(chunk as Buffer);
    }
  } catch (error) {
    throw unreadable(path, error);
  }
  if (left > 0) throw becameShorter(path);
}

function becameShorter(path: string): OperationFailedError {
  return new OperationFailedError(`${path} became shorter while it was uploaded.`, {
    hint: "Repeat the command when nothing writes to it.",
  });
}
