import { createHash } from "node:crypto";
import { join } from "node:path";
import type { SyncEntry, SyncPart } from "../../shared/agent/protocol.ts";
import { BLOCK_BYTES } from "../../shared/agent/sync-blocks.ts";
import { OperationFailedError } from "../../shared/errors.ts";
import type { BlockPacker } from "./blocks.ts";
import type { FileAccess } from "./file-access.ts";
import { unreadable } from "./walk.ts";

/** Small files that are read at the same time. */
const READ_AHEAD = 32;

/** A file whose content is wanted. */
export interface WantedFile extends Pick<SyncEntry, "path" | "size"> {
  readonly index: number;
  /** What the nodes have of it. */
  readonly part?: Pick<SyncPart, "bytes" | "sha256">;
}

export interface PackOptions {
  readonly root: string;
  readonly access: FileAccess;
  readonly packer: BlockPacker;
}

/**
 * The contents of files as blocks, in order, for each exactly the bytes that the manifest has promised. Throws MissingFileError and
 * OperationFailedError for what cannot be read.
 */
export async function* packFiles(
  files: readonly WantedFile[],
  options: PackOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { packer } = options;
  for (let from = 0; from < files.length;) {
    const batch = smallFiles(files, from);
    from += batch.length;
    const contents = await Promise.all(batch.map((file) => readSmall(file, options)));
    for (const [at, content] of contents.entries()) {
      const block = packer.add(batch[at]?.index ?? -1, content);
      if (block !== undefined) yield block;
    }
    const next = files[from];
    if (batch.length === READ_AHEAD || next === undefined) continue;
    const block = packer.flush();
    if (block !== undefined) yield block;
    yield* packLarge(next, options);
    from += 1;
  }
  const last = packer.flush();
  if (last !== undefined) yield last;
}

function smallFiles(files: readonly WantedFile[], from: number): readonly WantedFile[] {
  const batch = files.slice(from, from + READ_AHEAD);
  const large = batch.findIndex(({ size }) => size > BLOCK_BYTES);
  return large === -1 ? batch : batch.slice(0, large);
}

async function readSmall({ path, size }: WantedFile, { root, access }: PackOptions): Promise<Uint8Array> {
  if (size === 0) return new Uint8Array();
  const absolute = join(root, path);
  const content = await access.readFile(absolute).catch((error: unknown) => {
    throw unreadable(absolute, error);
  });
  if (content.length < size) throw becameShorter(absolute);
  return content.subarray(0, size);
}

async function* packLarge(file: WantedFile, options: PackOptions): AsyncGenerator<Uint8Array, void, undefined> {
  const { root, access, packer } = options;
  const path = join(root, file.path);
  let at = (await hasPart(file, path, access)) ? (file.part?.bytes ?? 0) : 0;
  try {
    for await (const piece of access.readPieces(path, { start: at, end: file.size, pieceBytes: BLOCK_BYTES })) {
      yield packer.piece(file.index, at, piece);
      at += piece.length;
    }
  } catch (error) {
    throw unreadable(path, error);
  }
  if (at < file.size) throw becameShorter(path);
}

/** Whether the file begins with what the nodes have: it may be another by now. */
async function hasPart({ part, size }: WantedFile, path: string, access: FileAccess): Promise<boolean> {
  // The last piece is always sent, because it is what completes the file.
  if (part === undefined || part.bytes >= size) return false;
  const hash = createHash("sha256");
  for await (const piece of access.readPieces(path, { start: 0, end: part.bytes, pieceBytes: BLOCK_BYTES })) {
    hash.update(piece);
  }
  return hash.digest("hex") === part.sha256;
}

function becameShorter(path: string): OperationFailedError {
  return new OperationFailedError(`${path} became shorter while it was uploaded.`, {
    hint: "Repeat the command when nothing writes to it.",
  });
}
