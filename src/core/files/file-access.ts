import * as fs from "node:fs";
import { lstat, open, readdir, readlink } from "node:fs/promises";
import { promisify } from "node:util";

/** How the files of an upload are read. The two ways differ in what they cost whom. */
export interface FileAccess {
  lstat(path: string): Promise<fs.Stats>;
  readdir(path: string): Promise<fs.Dirent[]>;
  readlink(path: string): Promise<string>;
  readFile(path: string): Promise<Buffer>;
  /** Pieces of the file from `start` on, up to `end` (exclusive) or its end, each of `pieceBytes` but the last. */
  readPieces(path: string, range: PieceRange): AsyncIterable<Buffer>;
}

export interface PieceRange {
  readonly start: number;
  readonly end: number;
  readonly pieceBytes: number;
}

/** Never blocks the event loop, whatever the disk does; each call costs some 50 µs of processor time. */
export const waitingAccess: FileAccess = {
  lstat: (path) => lstat(path),
  readdir: (path) => readdir(path, { withFileTypes: true }),
  readlink: (path) => readlink(path),
  // The promises API makes an object with a destructor for each file, which costs more than a small file.
  readFile: promisify(fs.readFile),
  async *readPieces(path, { start, end, pieceBytes }) {
    const file = await open(path);
    try {
      for (let at = start; at < end; at += pieceBytes) {
        const piece = Buffer.allocUnsafe(Math.min(pieceBytes, end - at));
        const { bytesRead } = await file.read(piece, 0, piece.length, at);
        if (bytesRead > 0) yield piece.subarray(0, bytesRead);
        if (bytesRead < piece.length) return;
      }
    } finally {
      await file.close();
    }
  },
};

/** A tenth of the processor time, for a thread that has nothing else to do. */
export const blockingAccess: FileAccess = {
  lstat: async (path) => fs.lstatSync(path),
  readdir: async (path) => fs.readdirSync(path, { withFileTypes: true }),
  readlink: async (path) => fs.readlinkSync(path),
  readFile: async (path) => fs.readFileSync(path),
  async *readPieces(path, { start, end, pieceBytes }) {
    const file = fs.openSync(path, "r");
    try {
      for (let at = start; at < end; at += pieceBytes) {
        const piece = Buffer.allocUnsafe(Math.min(pieceBytes, end - at));
        const bytesRead = fs.readSync(file, piece, 0, piece.length, at);
        if (bytesRead > 0) yield piece.subarray(0, bytesRead);
        if (bytesRead < piece.length) return;
      }
    } finally {
      fs.closeSync(file);
    }
  },
};
