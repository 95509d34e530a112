/**
 * Contents of files on their way from the server to nodes: blocks, each with small files one after the other or with a piece of a large one.
 * A block names its files, so that the head passes it on as it came, compressed once, to exactly the nodes that lack one of them.
 *
 * u32 BE files, body bytes, content bytes, flags (1 = the body is zstd); f64 BE offset; u32 BE index of each file; body.
 */
import { AgentPeerError } from "./peer-error.ts";

/** Most content of one block. Files above it are large: they travel in pieces, each in a block of its own. */
export const BLOCK_BYTES = 512 * 1024;
/** Most files of one block, which may be empty ones. */
export const BLOCK_FILES = 4096;
const HEAD_BYTES = 24;
const ZSTD = 1;

export interface SyncBlock {
  /** Indices of entries of the sync. */
  readonly files: readonly number[];
  /** Where in the first file the content begins; 0 unless the file is large. */
  readonly offset: number;
  /** Bytes of the content, before compression. */
  readonly contentBytes: number;
  readonly isCompressed: boolean;
  readonly body: Uint8Array;
}

/** A block as it came, to be passed on. */
export interface EncodedBlock extends SyncBlock {
  readonly encoded: Uint8Array;
}

export function encodeBlock({ files, offset, contentBytes, isCompressed, body }: SyncBlock): Uint8Array {
  const tableBytes = HEAD_BYTES + 4 * files.length;
  const encoded = new Uint8Array(tableBytes + body.length);
  const view = new DataView(encoded.buffer);
  view.setUint32(0, files.length);
  view.setUint32(4, body.length);
  view.setUint32(8, contentBytes);
  view.setUint32(12, isCompressed ? ZSTD : 0);
  view.setFloat64(16, offset);
  for (const [at, index] of files.entries()) view.setUint32(HEAD_BYTES + 4 * at, index);
  encoded.set(body, tableBytes);
  return encoded;
}

/** Gathers the pieces of a stream into blocks. */
export class BlockDecoder {
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #wanted = HEAD_BYTES;

  /** Whether the stream may end here. */
  get isAtBoundary(): boolean {
    return this.#bytes === 0;
  }

  /** Throws BAD_PARAMS for what is no block. */
  push(piece: Uint8Array): EncodedBlock[] {
    const blocks: EncodedBlock[] = [];
    let rest = piece;
    while (rest.length > 0) {
      const taken = rest.subarray(0, this.#wanted - this.#bytes);
      rest = rest.subarray(taken.length);
      this.#pieces.push(taken);
      this.#bytes += taken.length;
      if (this.#bytes < this.#wanted) break;
      const whole = this.#join();
      const wanted = sizeOf(whole);
      if (wanted > whole.length) {
        this.#pieces = [whole];
        this.#wanted = wanted;
        continue;
      }
      this.#pieces = [];
      this.#bytes = 0;
      this.#wanted = HEAD_BYTES;
      blocks.push(parse(whole));
    }
    return blocks;
  }

  #join(): Uint8Array {
    const [first] = this.#pieces;
    if (this.#pieces.length === 1 && first !== undefined) return first;
    const whole = new Uint8Array(this.#bytes);
    let at = 0;
    for (const piece of this.#pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function sizeOf(head: Uint8Array): number {
  const view = viewOf(head);
  const [files, bodyBytes, contentBytes] = [view.getUint32(0), view.getUint32(4), view.getUint32(8)];
  if (files === 0 || files > BLOCK_FILES || contentBytes > BLOCK_BYTES || bodyBytes > contentBytes) {
    throw new AgentPeerError("BAD_PARAMS", "The content of the files came damaged.");
  }
  return HEAD_BYTES + 4 * files + bodyBytes;
}

function parse(encoded: Uint8Array): EncodedBlock {
  const view = viewOf(encoded);
  const count = view.getUint32(0);
  return {
    files: Array.from({ length: count }, (_, at) => view.getUint32(HEAD_BYTES + 4 * at)),
    offset: view.getFloat64(16),
    contentBytes: view.getUint32(8),
    isCompressed: (view.getUint32(12) & ZSTD) !== 0,
    body: encoded.subarray(HEAD_BYTES + 4 * count),
    encoded,
  };
}
