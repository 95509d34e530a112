import { Socket } from "node:net";
import type { HostGreeting, HostRequest } from "../../shared/agent/host.ts";
import { answerHost, type HostSelf } from "./main.ts";
import { redirectOutput } from "./start.ts";

/** The shell that starts the program gives it the connection as these, because login scripts may read and print on the usual ones. */
const INPUT = 3;
const OUTPUT = 4;
/** Whoever asks keeps us no longer than for a moment; a connection that was cut without a word must not keep us for ever. */
const IDLE_MS = 60_000;

/**
 * Answers requests about this machine until the other side ends. Resolves with the root of the agent that this process is to be now,
 * its connection closed and its output in `agent.out` there; undefined when there is nothing more to do.
 */
export async function serveHost(self: HostSelf, shell: number): Promise<string | undefined> {
  const userMask = process.umask(0o077);
  const input = new Socket({ fd: INPUT, readable: true, writable: false });
  const output = new Socket({ fd: OUTPUT, readable: false, writable: true });
  // Whoever asked is gone: the end of the input says so too.
  output.on("error", () => undefined);
  input.setTimeout(IDLE_MS, () => input.destroy());
  output.write(`${JSON.stringify({ base: self.base } satisfies HostGreeting)}\n`);
  for await (const line of linesOf(input)) {
    const request = JSON.parse(line) as HostRequest;
    input.setTimeout(0);
    const answer = await answerHost(request, self);
    await new Promise((resolve) => output.write(`${JSON.stringify(answer)}\n`, resolve));
    input.setTimeout(IDLE_MS);
    if (request.verb !== "start" || !("result" in answer)) continue;
    const { root } = request.params as { readonly root: string };
    await Promise.all([closed(input), closed(output)]);
    redirectOutput(root);
    process.umask(userMask);
    // It waits for us, and keeps the session open as long as it does. Once it is gone, somebody else has its place.
    if (process.ppid === shell) process.kill(shell, "SIGTERM");
    return root;
  }
  return undefined;
}

async function* linesOf(input: Socket): AsyncGenerator<string, void> {
  let rest = "";
  input.setEncoding("utf8");
  for await (const text of input) {
    const lines = `${rest}${String(text)}`.split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once("close", () => resolve()).destroy();
  });
}
