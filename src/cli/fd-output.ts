import { fstatSync, writeSync } from "node:fs";
import type { Output } from "./context.ts";

const RETRY_MS = 2;

/**
 * Writes to a file descriptor without `process.stdout`: its streams cost a third of a short command's time. A pipe that nobody reads
 * makes us wait, as it does any program; one whose reader is gone ends the process quietly (`sky logs c | head`).
 */
export function fdOutput(fd: 1 | 2): Output {
  let tty: boolean | undefined;
  const isTTY = (): boolean => (tty ??= isTerminal(fd));
  return {
    write: (text) => {
      writeAll(fd, typeof text === "string" ? Buffer.from(text) : text);
      return true;
    },
    get isTTY() {
      return isTTY();
    },
    get columns() {
      return (isTTY() && (fd === 1 ? process.stdout : process.stderr).columns) || 80;
    },
    drained: () => Promise.resolve(),
  };
}

function isTerminal(fd: number): boolean {
  try {
    // node:tty brings the network stack along, so a file or a pipe is told apart without it.
    if (!fstatSync(fd).isCharacterDevice()) return false;
  } catch {
    return false;
  }
  return process.getBuiltinModule("node:tty").isatty(fd);
}

function writeAll(fd: number, bytes: Uint8Array): void {
  let done = 0;
  while (done < bytes.length) {
    try {
      done += writeSync(fd, bytes, done);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EPIPE") process.exit(0);
      // Another program that shares the pipe made it non-blocking.
      if (code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  }
}
