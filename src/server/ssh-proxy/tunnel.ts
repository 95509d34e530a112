import type { Kysely } from "kysely";
import type { WebSocket } from "ws";
import { requireUpCluster } from "../../core/clusters/cluster.ts";
import type { AgentConnections } from "../../core/operation.ts";
import type { Database } from "../../db/schema.ts";
import type { AgentPeer } from "../../shared/agent/peer.ts";
import { InvalidValueError, SkyError } from "../../shared/errors.ts";
import { closeReason, frame, isFramed, SSH_PROXY, SSH_PROXY_REFUSED } from "../../shared/wire/ssh-proxy.ts";

export interface SshProxyOptions {
  readonly db: Kysely<Database>;
  readonly agents: Pick<AgentConnections, "connect">;
  readonly onInternalError: (error: unknown, requestId: string) => void;
}

type Connection = Awaited<ReturnType<typeof openConnection>>;

/** Carries an SSH connection between a client and the port of SSH of a node, through the node's agent. */
export async function serveSshProxy(
  socket: WebSocket,
  query: URLSearchParams,
  options: SshProxyOptions,
): Promise<void> {
  const gone = new AbortController();
  socket.on("error", () => socket.terminate());
  socket.once("close", () => gone.abort());
  // Nothing is lost that the client sends before the node answers.
  socket.pause();
  try {
    const connection = await openConnection(query, options, gone.signal);
    const isTyped = isFramed(query.get("client_version"));
    receive(socket, connection, isTyped);
    for await (const bytes of connection.chunks) await send(socket, isTyped ? frame(SSH_PROXY.data, bytes) : bytes);
    socket.close(1000);
  } catch (error) {
    if (gone.signal.aborted) return;
    if (!(error instanceof SkyError)) options.onInternalError(error, "ssh-proxy");
    const reason = error instanceof SkyError ? error.message : "Internal error: see the server's log.";
    socket.resume();
    socket.close(SSH_PROXY_REFUSED, closeReason(reason));
  }
}

async function openConnection(query: URLSearchParams, options: SshProxyOptions, signal: AbortSignal) {
  const name = query.get("cluster_name") ?? "";
  const node = Number(query.get("worker") ?? "0");
  const cluster = await requireUpCluster(options.db, name, "Connecting");
  const instance = Number.isInteger(node) ? cluster.instances.find(({ index }) => index === node) : undefined;
  if (instance === undefined) throw new InvalidValueError(`Cluster '${name}' has no node ${query.get("worker")}.`);
  const agent: AgentPeer = await options.agents.connect(name, { signal });
  const stream = agent.open("ssh", { node }, { signal });
  await stream.start;
  return stream;
}

/** Takes messages one after the other: the socket waits while the node does not take more, or the client no answer to its pings. */
function receive(socket: WebSocket, connection: Connection, isTyped: boolean): void {
  socket.on("message", (message: Buffer) => {
    const type = isTyped ? message[0] : SSH_PROXY.data;
    if (type !== SSH_PROXY.ping && type !== SSH_PROXY.data) return;
    socket.pause();
    const taken =
      type === SSH_PROXY.ping ? send(socket, message) : connection.send(isTyped ? message.subarray(1) : message);
    // Who takes no more has ended, which the other direction tells, after the last bytes.
    void taken.catch(() => undefined).then(() => socket.resume());
  });
  socket.resume();
}

/** Resolves when the message has left, so that a slow client does not fill our memory. */
function send(socket: WebSocket, message: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(message, { binary: true }, (error) => {
      if (error === undefined || error === null) resolve();
      else reject(error);
    });
  });
}
