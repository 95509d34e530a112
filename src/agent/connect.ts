import { connect } from "node:net";
import { agentSocketPath } from "../shared/agent/socket-path.ts";

/** Bridges stdin and stdout to the agent in `root` (what ssh runs on the node). Resolves with the exit code when either side ends. */
export function bridgeStdio(root: string): Promise<number> {
  return new Promise((resolve) => {
    const socket = connect(agentSocketPath(root, process.getuid?.() ?? 0));
    socket.once("error", (error) => {
      process.stderr.write(`Cannot reach the agent in ${root}: ${error.message}\n`);
      resolve(1);
    });
    socket.once("connect", () => {
      process.stdin.pipe(socket);
      socket.pipe(process.stdout);
    });
    socket.once("close", () => resolve(0));
    // The caller is gone without having ended stdin.
    process.stdout.on("error", () => socket.destroy());
  });
}
