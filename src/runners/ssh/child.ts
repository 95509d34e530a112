import { spawn, type ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";

export type SshChild = ChildProcessByStdio<Writable, Readable, Readable>;

const MAX_STDERR = 64 * 1024;
/** A connection that goes on in the background may keep stderr open after the command that made it has ended. */
const STDERR_DRAIN_MS = 50;

/** A program with its error output collected. */
export interface Watched {
  readonly child: SshChild;
  /** Everything so far, or the last part of much. */
  stderr(): string;
  /** The exit code, once the error output is complete. Rejects when the program cannot be started. */
  readonly exited: Promise<number>;
}

export function spawnWatched(
  program: string,
  args: readonly string[],
  options: { readonly env: Readonly<Record<string, string | undefined>>; readonly signal?: AbortSignal | undefined },
): Watched {
  const child = spawn(program, args, {
    env: options.env,
    stdio: ["pipe", "pipe", "pipe"],
    // No terminal of ours may be asked for a password.
    detached: true,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    killSignal: "SIGKILL",
  });
  let text = "";
  const ended = new Promise<void>((resolve) => {
    child.stderr.setEncoding("utf8");
    child.stderr.on("data", (chunk: string) => (text = (text + chunk).slice(-MAX_STDERR)));
    child.stderr.on("close", resolve);
  });
  const exited = new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => {
      const timer = setTimeout(() => child.stderr.destroy(), STDERR_DRAIN_MS);
      void ended.then(() => {
        clearTimeout(timer);
        resolve(code ?? 255);
      });
    });
  });
  // Whoever waits for it later must not find an unhandled rejection in between.
  exited.catch(() => undefined);
  // A program that does not read its input closes the pipe; its exit code says what matters.
  child.stdin.on("error", () => undefined);
  return { child, stderr: () => text, exited };
}
