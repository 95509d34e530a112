import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { agentSocketPath } from "../shared/agent/socket-path.ts";

export interface ConnectOptions {
  /** A line to print once the agent is reached, for callers that have to find the beginning of the stream. */
  readonly ready?: string;
  /** How long an agent may take to start, in milliseconds. */
  readonly waitMs?: number;
}

/** A local socket: an attempt costs next to nothing. */
const RETRY_MS = 10;

/** Bridges stdin and stdout to the agent in `root` (what ssh runs on the node). Resolves with the exit code when either side ends. */
export async function bridgeStdio(root: string, options: ConnectOptions = {}): Promise<number> {
  const path = agentSocketPath(root, process.getuid?.() ?? 0);
  const deadline = Date.now() + (options.waitMs ?? 0);
  for (;;) {
    try {
      return await bridge(await dial(path), options.ready);
    } catch (error) {
      if (Date.now() >= deadline) {
        process.stderr.write(`Cannot reach the agent in ${root}: ${(error as Error).message}\n`);
        return 1;
      }
    }
    await delay(RETRY_MS);
  }
}

function dial(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(socket);
    });
  });
}

function bridge(socket: Socket, ready: string | undefined): Promise<number> {
  return new Promise((resolve) => {
    if (ready !== undefined) process.stdout.write(`\n${ready}\n`);
    process.stdin.pipe(socket);
    socket.pipe(process.stdout);
    socket.once("close", () => resolve(0));
    // An agent that is killed resets the connection, which closes it.
    socket.on("error", () => undefined);
    // The caller is gone without having ended stdin.
    process.stdout.on("error", () => socket.destroy());
  });
}
