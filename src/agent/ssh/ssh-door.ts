import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { Writable } from "node:stream";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { OpenStream, ServedStream } from "../../shared/agent/peer-types.ts";
import type { ClusterNode, NodeConnection } from "../node/cluster-node.ts";
import { findSshd, writeSshdFiles, type EnteredContainer } from "./sshd-files.ts";

export interface SshDoorOptions {
  readonly directory: string;
  readonly keys: readonly string[];
  /** Undefined where nobody logs in. */
  readonly hostKey: string | undefined;
  /** Of the sessions. */
  readonly sessionEnv: Readonly<Record<string, string>>;
  /** Of the server's processes. */
  readonly env: Readonly<Record<string, string>>;
  readonly container: () => EnteredContainer | undefined;
}

/**
 * Lets the holders of the cluster's key log in to this node through the agent's own connection: each connection gets a server of its own (`sshd -i`),
 * run by this user with a configuration of ours. The machine's configuration, its ports and the user's authorized_keys are left alone.
 */
export class SshDoor {
  readonly #options: SshDoorOptions;

  constructor(options: SshDoorOptions) {
    this.#options = options;
  }

  /** Starts a server for one connection. Throws NOT_ALLOWED when the node has none. */
  connect(signal: AbortSignal): Promise<NodeConnection> {
    const { directory, keys, hostKey, env, sessionEnv, container } = this.#options;
    if (hostKey === undefined) throw new AgentPeerError("NOT_ALLOWED", "Nobody logs in to this cluster's nodes.");
    const program = findSshd();
    if (program === undefined) throw new AgentPeerError("NOT_ALLOWED", "The node has no SSH server (openssh-server).");
    const config = writeSshdFiles({ directory, keys, hostKey, env: sessionEnv, container: container() });
    const child = spawn(program, ["-i", "-e", "-f", config], {
      env,
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
    });
    return openConnection(child, signal);
  }
}

/** The connection that a program's input and output are. */
export async function openConnection(child: ChildProcess, signal: AbortSignal): Promise<NodeConnection> {
  const { stdin, stdout, stderr } = child;
  if (stdin === null || stdout === null || stderr === null) throw new AgentPeerError("INTERNAL", "No pipes to sshd.");
  await once(child, "spawn", { signal });
  // Its complaints are about single logins; the client is told what it needs to know.
  stderr.resume();
  stdin.on("error", () => undefined);
  // What a session started in the background goes on; the session itself ends with its connection.
  const close = (): void => {
    stdin.destroy();
    stdout.destroy();
  };
  signal.addEventListener("abort", close, { once: true });
  child.once("close", () => signal.removeEventListener("abort", close));
  return {
    chunks: chunksOf(stdout),
    write: async (bytes) => {
      if (!stdin.write(bytes)) await untilRoom(stdin);
    },
    endWrite: () => void stdin.end(),
    close,
  };
}

/** Resolves when more may be written, or nothing is taken any more. */
function untilRoom(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off("drain", done);
      stream.off("close", done);
      resolve();
    };
    if (stream.closed) done();
    else stream.once("drain", done).once("close", done);
  });
}

async function* chunksOf(source: AsyncIterable<unknown>): AsyncGenerator<Uint8Array, void> {
  try {
    for await (const bytes of source) yield bytes as Buffer;
  } catch {
    // It broke off: for the caller the connection is over, however it ended.
  }
}

/** Serves a stream that asks for the SSH server of a node. */
export async function serveSsh(
  node: Pick<ClusterNode, "openSsh">,
  stream: ServedStream<Record<string, never>>,
): Promise<Record<string, never>> {
  const connection = await node.openSsh(stream.signal);
  stream.start({});
  await bridge(connection, stream);
  return {};
}

/** The stream `ssh` that was opened at another agent, as that agent's connection. */
export async function openSshAt(
  stream: OpenStream<Record<string, never>, Record<string, never>>,
): Promise<NodeConnection> {
  stream.end.catch(() => undefined);
  await stream.start;
  return {
    chunks: stream.chunks,
    write: (bytes) => stream.send(bytes),
    endWrite: () => stream.endSend(),
    close: () => stream.cancel(),
  };
}

/** Passes bytes both ways until the node's side is over. */
async function bridge(
  connection: NodeConnection,
  stream: { readonly chunks: AsyncIterable<Uint8Array>; send(bytes: Uint8Array): Promise<void> },
): Promise<void> {
  const toNode = async (): Promise<void> => {
    for await (const bytes of stream.chunks) await connection.write(bytes);
    connection.endWrite();
  };
  // The caller that is gone, or a node that takes no more, ends the other direction too.
  toNode().catch(() => connection.close());
  try {
    for await (const bytes of connection.chunks) await stream.send(bytes);
  } finally {
    connection.close();
  }
}
