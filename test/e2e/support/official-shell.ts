import { spawn, type ChildProcess } from "node:child_process";
import { createInterface, type Interface } from "node:readline";
import type { OfficialClient } from "./sandbox.ts";
import type { Reference } from "./reference.ts";

/** Runs one command line after the other in one process: starting the official client takes seconds. */
const SCRIPT = `
import contextlib, io, json, os, sys
from sky.client.cli.command import cli
for line in sys.stdin:
    wish = json.loads(line)
    for name in [name for name in os.environ if name.startswith('AWS_')]:
        del os.environ[name]
    os.environ.update(wish['env'])
    out, code = io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            cli.main(wish['args'], prog_name='sky', standalone_mode=False)
        except SystemExit as error:
            code = error.code or 0
        except Exception as error:
            code = 1
            print(f'{type(error).__module__}.{type(error).__name__}: {error}')
    print(json.dumps({'text': out.getvalue(), 'code': code}), file=sys.__stdout__, flush=True)
`;

/** The official CLI, kept running; each command has `AWS_*` variables of its own. */
export class OfficialShell {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;

  constructor(client: OfficialClient, reference: Reference) {
    this.#process = spawn(reference.python, ["-c", SCRIPT], {
      env: client.env(),
      cwd: client.home,
      stdio: ["pipe", "pipe", "inherit"],
    });
    if (this.#process.stdout === null) throw new Error("There is no output to read.");
    this.#reader = createInterface({ input: this.#process.stdout });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  async sky(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<{ text: string; code: number }> {
    this.#process.stdin?.write(`${JSON.stringify({ args, env })}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error("The official client has ended.");
    return JSON.parse(value) as { text: string; code: number };
  }

  close(): void {
    this.#process.stdin?.end();
    this.#process.kill("SIGKILL");
    this.#reader.close();
  }
}
