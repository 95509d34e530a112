import { open } from "node:fs/promises";
import type { UploadFile } from "../../core/ports/object-store.ts";
import { OperationFailedError } from "../../shared/errors.ts";

/** Fills the buffer from a place in the file; gives the buffer. Throws OperationFailedError when the file ends before. */
export async function readRange(
  file: UploadFile,
  { from, buffer }: { readonly from: number; readonly buffer: Buffer<ArrayBuffer> },
): Promise<Buffer<ArrayBuffer>> {
  if (buffer.length === 0) return buffer;
  const handle = await open(file.path);
  try {
    let filled = 0;
    while (filled < buffer.length) {
      const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, from + filled);
      if (bytesRead === 0) {
        throw new OperationFailedError(`${file.path} became shorter while it was uploaded.`, {
          hint: "Repeat the command when nothing writes to it.",
        });
      }
      filled += bytesRead;
    }
    return buffer;
  } finally {
    await handle.close();
  }
}
