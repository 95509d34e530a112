import { isControl } from "../../shared/wire/control-lines.ts";

const NEWLINE = 0x0a;
const MARK = Buffer.from("<sky-payload");
const MAX_HELD_BYTES = 64 * 1024;

/** Leaves control lines out of a stream. Other text passes at once, also within a line. */
export async function* withoutControls(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let held: Buffer = Buffer.alloc(0);
  let isLineStart = true;
  for await (const chunk of chunks) {
    const content: Buffer = held.length === 0 ? Buffer.from(chunk) : Buffer.concat([held, chunk]);
    const out: Buffer[] = [];
    let position = 0;
    held = Buffer.alloc(0);
    while (position < content.length) {
      const newline = content.indexOf(NEWLINE, position);
      const end = newline === -1 ? content.length : newline + 1;
      const line = content.subarray(position, end);
      if (isLineStart && mayBeControl(line)) {
        if (newline === -1 && line.length < MAX_HELD_BYTES) {
          held = Buffer.from(line);
          break;
        }
        if (!isControl(line.toString("utf8"))) out.push(line);
      } else {
        out.push(line);
      }
      isLineStart = newline !== -1;
      position = end;
    }
    if (out.length > 0) yield Buffer.concat(out);
  }
  if (held.length > 0 && !isControl(held.toString("utf8"))) yield held;
}

function mayBeControl(line: Buffer): boolean {
  const length = Math.min(line.length, MARK.length);
  return line.compare(MARK, 0, length, 0, length) === 0;
}
