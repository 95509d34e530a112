/** A file of an archive. */
export interface TarFile {
  /** At most 100 bytes. */
  readonly name: string;
  readonly mode: number;
  /** Bytes of its content. */
  readonly size: number;
}

const BLOCK = 512;

/** What follows the last file of an archive. */
export const TAR_END = Buffer.alloc(2 * BLOCK);

/** A file in an archive (ustar), as every `tar -x` reads it. */
export function tarFile(name: string, mode: number, content: Uint8Array): Uint8Array {
  const { length: size } = content;
  return Buffer.concat([tarHeader({ name, mode, size }), content, tarPadding(size)]);
}

/** What follows the content of a file. */
export function tarPadding(size: number): Uint8Array {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

/** What comes before the content of a file. */
export function tarHeader({ name, mode, size }: TarFile): Uint8Array {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, length: number): string => `${value.toString(8).padStart(length - 1, "0")}\0`;
  block.write(name, 0, 100);
  block.write(octal(mode, 8), 100);
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  block.write(octal(size, 12), 124);
  block.write(octal(0, 12), 136);
  // The checksum is counted with spaces in its own place.
  block.write("        ", 148);
  block.write("0", 156);
  block.write("ustar\x0000", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}
