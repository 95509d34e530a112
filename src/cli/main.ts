/** The `sky` program. */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { homeOf } from "../platform/paths.ts";
import { systemClock } from "../shared/clock.ts";
import { InterruptedError, type Output } from "./context.ts";
import { stdinLines } from "./stdin-lines.ts";
import { runCli } from "./run.ts";

function outputOf(stream: NodeJS.WriteStream): Output {
  return {
    write: (text) => stream.write(text),
    get isTTY() {
      return stream.isTTY;
    },
    get columns() {
      return stream.columns || 80;
    },
    drained: () => new Promise((resolve) => stream.once("drain", () => resolve())),
  };
}

async function main(): Promise<void> {
  const interrupt = new AbortController();
  let presses = 0;
  process.on("SIGINT", () => {
    presses += 1;
    if (presses > 1) process.exit(130);
    interrupt.abort(new InterruptedError("Interrupted."));
  });
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      // The reader went away (`sky logs c | head`): nobody is left to tell.
      if (error.code === "EPIPE") process.exit(0);
      throw error;
    });
  }
  process.exitCode = await runCli(process.argv.slice(2), {
    env: process.env,
    cwd: process.cwd(),
    home: homeOf(process.env),
    out: outputOf(process.stdout),
    err: outputOf(process.stderr),
    input: stdinLines(process.stdin),
    clock: systemClock,
    signal: interrupt.signal,
    packageDir: dirname(fileURLToPath(import.meta.url)),
  });
}

void main();
