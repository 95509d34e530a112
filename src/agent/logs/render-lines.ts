/** A raw line of a rank longer than this is passed on in pieces. */
export const MAX_HELD_BYTES = 64 * 1024;
const LF = 10;
const CR = 13;
const NOTHING = Buffer.alloc(0);

/** How a stretch of raw output becomes a stretch of run.log: a pure function, because a crash may have to repeat it. */
export interface RenderOptions {
  /** Put before each line. */
  readonly prefix: Buffer;
  /** False when the stretch goes on with a line that has been passed on in part. */
  readonly isAtLineStart: boolean;
}

/**
 * Length of the part of `bytes` that can be rendered now: whole lines (ended by `\n` or `\r`), a piece of a line that is too
 * long to hold, or everything when the output has ended.
 */
export function renderableLength(bytes: Buffer, isEnd: boolean): number {
  if (isEnd) return bytes.length;
  // A `\r` at the very end may be half of `\r\n`.
  const searchable = bytes.length > 0 && bytes[bytes.length - 1] === CR ? bytes.length - 1 : bytes.length;
  const end = lastTerminator(bytes, searchable) + 1;
  return searchable - end > MAX_HELD_BYTES ? searchable : end;
}

function lastTerminator(bytes: Buffer, end: number): number {
  const searched = bytes.subarray(0, end);
  const newline = searched.lastIndexOf(LF);
  return newline === end - 1 ? newline : Math.max(newline, searched.lastIndexOf(CR));
}

/** Whether what comes after these rendered bytes starts a line. */
export function endsLine(bytes: Buffer): boolean {
  const last = bytes[bytes.length - 1];
  return last === LF || last === CR;
}

/** Prefixes each line, makes `\r\n` to `\n` and drops bash's two warnings about a missing terminal. */
export function renderLines(bytes: Buffer, options: RenderOptions): Buffer {
  if (bytes.length === 0) return NOTHING;
  const ends = lineEnds(bytes);
  const { prefix } = options;
  const out = Buffer.allocUnsafe(bytes.length + ends.length * prefix.length);
  let at = 0;
  let start = 0;
  let isAtLineStart = options.isAtLineStart;
  for (const end of ends) {
    if (!isAtLineStart || !isShellWarning(bytes, start, end)) {
      if (isAtLineStart) at += prefix.copy(out, at);
      const isCrLf = end - start >= 2 && bytes[end - 1] === LF && bytes[end - 2] === CR;
      at += bytes.copy(out, at, start, isCrLf ? end - 2 : end);
      if (isCrLf) {
        out[at] = LF;
        at += 1;
      }
    }
    isAtLineStart = true;
    start = end;
  }
  return out.subarray(0, at);
}

/** Offsets after each line; the last is the end of `bytes` even when the line goes on. */
function lineEnds(bytes: Buffer): number[] {
  const ends: number[] = [];
  let carriage = bytes.indexOf(CR);
  let start = 0;
  while (start < bytes.length) {
    let end = bytes.indexOf(LF, start);
    end = end < 0 ? bytes.length : end + 1;
    while (carriage >= 0 && carriage < end) {
      // `\r\n` is one end; a bare `\r` ends a line of its own (progress bars).
      if (carriage + 1 !== end - 1 || bytes[carriage + 1] !== LF) ends.push(carriage + 1);
      carriage = bytes.indexOf(CR, carriage + 1);
    }
    if (ends.at(-1) !== end) ends.push(end);
    start = end;
  }
  return ends;
}

const WARNING =
  /^bash: (?:cannot set terminal process group \(-?\d+\): Inappropriate ioctl for device|no job control in this shell)\r?\n?$/;

function isShellWarning(bytes: Buffer, start: number, end: number): boolean {
  if (bytes[start] !== 0x62 || bytes[start + 1] !== 0x61 || bytes[start + 4] !== 0x3a || end - start > 120)
    return false;
  return WARNING.test(bytes.toString("latin1", start, end));
}
