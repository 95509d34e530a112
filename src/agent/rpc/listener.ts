import { chmodSync, lstatSync, mkdirSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { duplexOverStream } from "../../shared/agent/byte-duplex.ts";
import { AgentPeer } from "../../shared/agent/peer.ts";
import { agentSocket } from "../../shared/agent/socket-path.ts";
import { OperationFailedError } from "../../shared/errors.ts";
import { readOpenFilesLimit } from "../node/proc.ts";
import { describeError, type AgentLog } from "../node/agent-log.ts";

export interface ListenOptions {
  readonly root: string;
  readonly methods: object;
  readonly streams: object;
  readonly log: AgentLog;
}

/** Path of the socket of the agent in `root`, its private folder checked or made. */
export function prepareSocketPath(root: string): string {
  const uid = process.getuid?.() ?? 0;
  const { path, privateDirectory } = agentSocket(root, uid);
  if (privateDirectory !== undefined) {
    mkdirSync(privateDirectory, { recursive: true, mode: 0o700 });
    const stats = lstatSync(privateDirectory);
    // Anybody can make folders in /tmp: only one that is ours and closed to others will do.
    if (!stats.isDirectory() || stats.uid !== uid || (stats.mode & 0o077) !== 0) {
      throw new OperationFailedError(`${privateDirectory} is not a private folder of this user.`, {
        hint: `Remove it: rm -r ${privateDirectory}`,
      });
    }
  }
  return path;
}

/** Listens on the agent's unix socket. The caller holds the agent's lock, so a socket file that exists is a dead one. */
export async function listenOnSocket(options: ListenOptions): Promise<Server> {
  const path = prepareSocketPath(options.root);
  rmSync(path, { force: true });
  const { methods, streams, log } = options;
  const server = createServer((socket) => {
    const peer = new AgentPeer(duplexOverStream(socket), {
      role: "listener",
      methods,
      streams,
      onHandlerError: (method, error) => log.error("request failed", { method, ...describeError(error) }),
    });
    void peer.closed.then((error) => {
      if (error !== undefined) log.info("client lost", { err: error.message });
    });
  });
  // Clients must not take the descriptors that jobs and logs need.
  server.maxConnections = Math.max(8, Math.floor(readOpenFilesLimit() / 2));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  // Out of file descriptors, for one: the agent goes on and accepts when it can.
  server.on("error", (error) => log.error("listening failed", describeError(error)));
  return server;
}
