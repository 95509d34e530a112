import { statSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { readChunk } from "./tail-file.ts";

/** Where the part of run.log begins that users see; what comes before is for the agent. */
const MARKER = "Waiting for task resources on ";
const BLOCK_BYTES = 64 * 1024;
/** When the marker is in these first lines of the file but not in the tail, the whole tail is shown. */
const MARKER_LINES = 20;
const LF = 10;

/**
 * Byte at which a reader of the last `tail` lines begins (0: of everything). Lines before the one with the marker are left out. 0 when
 * there is no file yet.
 */
export async function findTailOffset(path: string, tail: number): Promise<number> {
  const marker = findMarkerLine(path);
  return tail > 0 ? Math.max(marker, await findLastLines(path, tail)) : marker;
}

/** Offset of the line with the marker in the first lines of the file; 0 when it is not there. */
function findMarkerLine(path: string): number {
  const head = readChunk(path, 0, BLOCK_BYTES);
  const marker = head.indexOf(MARKER);
  if (marker < 0) return 0;
  let lines = 0;
  let start = 0;
  for (let at = head.indexOf(LF); at >= 0 && at < marker; at = head.indexOf(LF, at + 1)) {
    lines += 1;
    start = at + 1;
  }
  return lines < MARKER_LINES ? start : 0;
}

/** Reads backwards until `count` lines are found. */
async function findLastLines(path: string, count: number): Promise<number> {
  let end = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  let missing = count;
  let isLastByte = true;
  while (end > 0) {
    const start = Math.max(0, end - BLOCK_BYTES);
    const block = readChunk(path, start, end - start);
    // The newline that ends the file does not begin a line.
    let at = isLastByte ? block.length - 1 : block.length;
    isLastByte = false;
    while (at > 0 && (at = block.lastIndexOf(LF, at - 1)) >= 0) {
      missing -= 1;
      if (missing === 0) return start + at + 1;
    }
    end = start;
    await setImmediate();
  }
  return 0;
}
