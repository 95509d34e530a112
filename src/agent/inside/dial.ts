import { connect } from "node:net";
import { duplexOverStream } from "../../shared/agent/byte-duplex.ts";
import { AgentPeer } from "../../shared/agent/peer.ts";
import { agentSocketPath } from "../../shared/agent/socket-path.ts";

/** What `ssh` runs to reach a node of the cluster: stdin and stdout become a connection to that node's SSH server. Resolves with the exit code. */
export async function dialNode(root: string, node: number): Promise<number> {
  const socket = connect(agentSocketPath(root, process.getuid?.() ?? 0));
  const peer = new AgentPeer(duplexOverStream(socket), { role: "dialer" });
  try {
    const stream = peer.open("ssh", { node });
    stream.end.catch(() => undefined);
    await stream.start;
    const passInput = async (): Promise<void> => {
      for await (const bytes of process.stdin) await stream.send(bytes as Buffer);
      stream.endSend();
    };
    passInput().catch(() => stream.cancel());
    process.stdout.on("error", () => stream.cancel());
    for await (const bytes of stream.chunks) {
      if (!process.stdout.write(bytes)) await new Promise((resolve) => process.stdout.once("drain", resolve));
    }
    return 0;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    return 1;
  } finally {
    peer.close();
  }
}
