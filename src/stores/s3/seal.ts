import { createHash, type Hash } from "node:crypto";
import { crc32 } from "node:zlib";

/**
 * Says what content was when it was read, for whoever gets it. TLS keeps content as it is on its way, and S3 keeps a CRC-32 with the
 * object; without TLS nothing but the signature keeps it from being changed, which takes a SHA-256 and needs no second sum.
 */
export class Seal {
  readonly #sha256: Hash | undefined;
  #crc32 = 0;

  constructor({ isPlain }: { readonly isPlain: boolean }) {
    this.#sha256 = isPlain ? createHash("sha256") : undefined;
  }

  /** Takes the content piece by piece, in order. */
  add(piece: Uint8Array): void {
    if (this.#sha256 === undefined) this.#crc32 = crc32(piece, this.#crc32);
    else this.#sha256.update(piece);
  }

  /** Headers that go along with the content, and the sum that the server keeps. */
  close(): { readonly ChecksumCRC32?: string; readonly headers: Readonly<Record<string, string>> } {
    if (this.#sha256 !== undefined) return { headers: { "x-amz-content-sha256": this.#sha256.digest("hex") } };
    const ChecksumCRC32 = textOfCrc32(this.#crc32);
    const headers = { "x-amz-checksum-crc32": ChecksumCRC32, "x-amz-content-sha256": "UNSIGNED-PAYLOAD" };
    return { ChecksumCRC32, headers };
  }
}

/** As S3 writes it. */
export function textOfCrc32(sum: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(sum);
  return bytes.toString("base64");
}
