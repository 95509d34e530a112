import { open, type FileHandle } from "node:fs/promises";

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
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return 0;
    throw error;
  }
  try {
    const marker = await findMarkerLine(file);
    return tail > 0 ? Math.max(marker, await findLastLines(file, tail)) : marker;
  } finally {
    await file.close();
  }
}

/** Offset of the line with the marker in the first lines of the file; 0 when it is not there. */
async function findMarkerLine(file: FileHandle): Promise<number> {
  const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(BLOCK_BYTES), 0, BLOCK_BYTES, 0);
  const head = buffer.subarray(0, bytesRead);
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
async function findLastLines(file: FileHandle, count: number): Promise<number> {
  const { size } = await file.stat();
  let end = size;
  let missing = count;
  let isLastByte = true;
  const block = Buffer.allocUnsafe(BLOCK_BYTES);
  while (end > 0) {
    const start = Math.max(0, end - BLOCK_BYTES);
    const { bytesRead } = await file.read(block, 0, end - start, start);
    for (let at = bytesRead - 1; at >= 0; at -= 1) {
      if (block[at] === LF && !isLastByte) {
        missing -= 1;
        if (missing === 0) return start + at + 1;
      }
      isLastByte = false;
    }
    end = start;
  }
  return 0;
}
