import { open, type FileHandle } from "node:fs/promises";
import { isControl } from "../../shared/wire/control-lines.ts";

const BLOCK_BYTES = 64 * 1024;
/** A tail looks at no more than this much of the end of a file. */
const MAX_TAIL_BYTES = 64 * 1024 * 1024;

export interface Tail {
  /** The last lines that are no control lines, with their ends. */
  readonly text: string;
  /** Byte after the last one that was looked at. */
  readonly offset: number;
}

/** The last `count` lines of a file without control lines. A missing file is empty. */
export async function readTail(path: string, count: number): Promise<Tail> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return { text: "", offset: 0 };
    throw error;
  }
  try {
    const { size } = await file.stat();
    let start = size;
    let content: Buffer = Buffer.alloc(0);
    let lines: string[] = [];
    while (start > 0 && size - start < MAX_TAIL_BYTES) {
      const from = Math.max(0, start - BLOCK_BYTES);
      const { buffer } = await file.read(Buffer.alloc(start - from), 0, start - from, from);
      content = Buffer.concat([buffer, content]);
      start = from;
      lines = linesOf(content, { isWhole: start === 0 });
      if (lines.length >= count) break;
    }
    return { text: lines.slice(-count).join(""), offset: size };
  } finally {
    await file.close();
  }
}

function linesOf(content: Buffer, options: { readonly isWhole: boolean }): string[] {
  const lines = content.toString("utf8").match(/[^\n]*\n|[^\n]+$/g) ?? [];
  // The first line of a block may have begun before it.
  return (options.isWhole ? [...lines] : lines.slice(1)).filter((line) => !isControl(line));
}
