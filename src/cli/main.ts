/** The `sky` program. */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { homeOf } from "../platform/paths.ts";
import { systemClock } from "../shared/clock.ts";
import { InterruptedError } from "./context.ts";
import { fdOutput } from "./fd-output.ts";
import { runCli } from "./run.ts";
import { stdinLines } from "./stdin-lines.ts";

/** Aborts on Ctrl-C; a second one ends the process at once. Made when a command first waits for something. */
function interruptSignal(): () => AbortSignal {
  let controller: AbortController | undefined;
  return () => {
    if (controller !== undefined) return controller.signal;
    const made = new AbortController();
    controller = made;
    process.on("SIGINT", () => {
      if (made.signal.aborted) process.exit(130);
      made.abort(new InterruptedError("Interrupted."));
    });
    return made.signal;
  };
}

async function main(): Promise<void> {
  const signal = interruptSignal();
  process.exitCode = await runCli(process.argv.slice(2), {
    env: process.env,
    cwd: process.cwd(),
    home: homeOf(process.env),
    out: fdOutput(1),
    err: fdOutput(2),
    input: stdinLines(() => process.stdin),
    clock: systemClock,
    get signal() {
      return signal();
    },
    packageDir: dirname(fileURLToPath(import.meta.url)),
  });
}

void main();
