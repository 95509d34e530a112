import { zstdCompressSync, constants } from "node:zlib";
import { BLOCK_BYTES, BLOCK_FILES, encodeBlock } from "../../shared/agent/sync-blocks.ts";

/** Level 1 gives most of what there is to win in source code and logs. The output comes in one piece, which is much faster. */
const OPTIONS = { chunkSize: BLOCK_BYTES + 4096, params: { [constants.ZSTD_c_compressionLevel]: 1 } };
/** Blocks that are not tried after one that could not be made clearly smaller: images, models and archives come in long runs. */
const SKIPPED = 15;

/** Packs contents of files into blocks, each compressed when that makes it clearly smaller. */
export class BlockPacker {
  #files: number[] = [];
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #skip = 0;

  /** Adds a small file. Gives the block that it no longer fits into. */
  add(index: number, content: Uint8Array): Uint8Array | undefined {
    const isFull = this.#bytes + content.length > BLOCK_BYTES || this.#files.length === BLOCK_FILES;
    const block = isFull ? this.flush() : undefined;
    this.#files.push(index);
    this.#pieces.push(content);
    this.#bytes += content.length;
    return block;
  }

  /** The block with the small files that were added since the last one. */
  flush(): Uint8Array | undefined {
    if (this.#files.length === 0) return undefined;
    const block = this.#encode(this.#files, 0, Buffer.concat(this.#pieces, this.#bytes));
    this.#files = [];
    this.#pieces = [];
    this.#bytes = 0;
    return block;
  }

  /** A piece of a large file. */
  piece(index: number, offset: number, content: Uint8Array): Uint8Array {
    return this.#encode([index], offset, content);
  }

  #encode(files: readonly number[], offset: number, content: Uint8Array): Uint8Array {
    const body = this.#compress(content);
    const block = { files, offset, contentBytes: content.length };
    return encodeBlock({ ...block, isCompressed: body !== undefined, body: body ?? content });
  }

  #compress(content: Uint8Array): Uint8Array | undefined {
    if (this.#skip > 0) {
      this.#skip -= 1;
      return undefined;
    }
    const body = zstdCompressSync(content, OPTIONS);
    if (body.length < content.length * 0.9) return body;
    this.#skip = SKIPPED;
    return undefined;
  }
}
