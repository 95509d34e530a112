import { createHash, type Hash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { Part } from "@aws-sdk/client-s3";
import { unquoted } from "./list.ts";
import { textOfCrc32 } from "./seal.ts";

/**
 * Compares content that is being read with a part that the server has. Its ETag is an MD5 where no key of KMS is used; what it is
 * elsewhere equals no content, which is sent again.
 */
export class SentPart {
  readonly #wanted: string;
  readonly #md5: Hash | undefined;
  #crc32 = 0;

  constructor({ ChecksumCRC32, ETag }: Part) {
    this.#wanted = ChecksumCRC32 ?? unquoted(ETag);
    this.#md5 = ChecksumCRC32 === undefined ? createHash("md5") : undefined;
  }

  /** Takes the content piece by piece, in order. */
  add(piece: Uint8Array): void {
    if (this.#md5 === undefined) this.#crc32 = crc32(piece, this.#crc32);
    else this.#md5.update(piece);
  }

  /** To be asked once, when all was added. */
  isSame(): boolean {
    return (this.#md5?.digest("hex") ?? textOfCrc32(this.#crc32)) === this.#wanted;
  }
}
