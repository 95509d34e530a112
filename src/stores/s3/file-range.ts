import * as fs from "node:fs";
import { promisify } from "node:util";
import type { UploadFile } from "../../core/ports/object-store.ts";
import { OperationFailedError } from "../../shared/errors.ts";

/** Read and looked at in one go; other work of the server gets its turn in between. */
const STEP_BYTES = 1024 * 1024;

/** The promises API makes an object with a destructor for each file, which costs as much as reading a small one. */
const [open, read, close] = [promisify(fs.open), promisify(fs.read), promisify(fs.close)];

/**
 * Fills the buffer from a place in the file; gives the buffer. What was read is told piece by piece. Throws OperationFailedError when the
 * file ends before.
 */
export async function readRange(
  file: UploadFile,
  {
    from,
    buffer,
    onRead,
  }: { readonly from: number; readonly buffer: Buffer<ArrayBuffer>; readonly onRead: (piece: Buffer) => void },
): Promise<Buffer<ArrayBuffer>> {
  if (buffer.length === 0) return buffer;
  const descriptor = await open(file.path, "r");
  try {
    let filled = 0;
    while (filled < buffer.length) {
      const wanted = Math.min(STEP_BYTES, buffer.length - filled);
      const { bytesRead } = await read(descriptor, buffer, filled, wanted, from + filled);
      if (bytesRead === 0) {
        throw new OperationFailedError(`${file.path} became shorter while it was uploaded.`, {
          hint: "Repeat the command when nothing writes to it.",
        });
      }
      onRead(buffer.subarray(filled, filled + bytesRead));
      filled += bytesRead;
    }
    return buffer;
  } finally {
    await close(descriptor);
  }
}
