import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import type { Server } from "node:tls";
import { writeFileAtomic } from "../../platform/atomic-file.ts";
import { duplexOverStream } from "../../shared/agent/byte-duplex.ts";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import { AgentPeer } from "../../shared/agent/peer.ts";
import type { MethodHandlers, StreamHandlers } from "../../shared/agent/peer-types.ts";
import type { NodeConfig } from "../../shared/agent/protocol.ts";
import { OperationFailedError } from "../../shared/errors.ts";
import { describeError, type AgentLog } from "../node/agent-log.ts";
import type { RemoteNode, WorkerPeer } from "./remote-node.ts";
import { createPskServer } from "./tls-psk.ts";
import type { Preemptions } from "../preemption/preemptions.ts";
import {
  WORKER_KEEPALIVE_MS,
  type HeadMethods,
  type HeadStreams,
  type NodeHook,
  type WorkerMethods,
  type WorkerStreams,
} from "./worker-protocol.ts";

export interface HeadDoorOptions {
  readonly config: NodeConfig;
  /** File that keeps the port across restarts. */
  readonly portPath: string;
  readonly workers: ReadonlyMap<number, RemoteNode>;
  /** Jobs whose tasks go on. */
  readonly runningJobIds: () => readonly number[];
  readonly preemptions: Preemptions;
  /** What a node that is about to end runs first. */
  readonly lastHooks: () => readonly NodeHook[];
  /** What workers may open here. */
  readonly streams: StreamHandlers<HeadStreams>;
  readonly log: AgentLog;
}

/** Lets workers in. Answers with the port, the same as before when that is free. */
export async function openHeadDoor(options: HeadDoorOptions): Promise<number> {
  const { config, portPath, log } = options;
  const server = await createPskServer(config, (socket) => welcome(duplexOverStream(socket), options));
  server.on("tlsClientError", (error) => log.error("worker refused", describeError(error)));
  const port = await listen(server, config.ip, readPort(portPath));
  server.on("error", (error) => log.error("listening for workers failed", describeError(error)));
  writeFileAtomic(portPath, String(port));
  return port;
}

function welcome(duplex: ReturnType<typeof duplexOverStream>, options: HeadDoorOptions): void {
  const { workers, runningJobIds, preemptions, lastHooks, streams, log } = options;
  const methods: MethodHandlers<HeadMethods> = {
    join: async (params) => {
      const worker = workers.get(params.index);
      if (worker === undefined) {
        throw new AgentPeerError("BAD_PARAMS", `This cluster has no worker ${params.index}.`);
      }
      preemptions.note(params.index, params.preemption);
      worker.join(params, peer);
      return { jobIds: runningJobIds() };
    },
    preempting: async ({ index, preemption }) => {
      preemptions.note(index, preemption);
      return { hooks: preemption.kind === "interruption" ? lastHooks() : [] };
    },
  };
  const peer: WorkerPeer = new AgentPeer<WorkerMethods, WorkerStreams>(duplex, {
    role: "listener",
    methods,
    streams,
    keepaliveMs: WORKER_KEEPALIVE_MS,
    onHandlerError: (method, error) => log.error("worker request failed", { method, ...describeError(error) }),
  });
}

async function listen(server: Server, host: string, port: number): Promise<number> {
  for (const candidate of [port, 0]) {
    try {
      return await new Promise<number>((resolve, reject) => {
        server.once("error", reject);
        server.listen({ host, port: candidate }, () => {
          server.off("error", reject);
          resolve((server.address() as AddressInfo).port);
        });
      });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Somebody took our port while we were away: workers will be told the new one.
      if (code === "EADDRINUSE" && candidate !== 0) continue;
      throw new OperationFailedError(`Cannot listen for workers on ${host}: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }
  throw new OperationFailedError(`Cannot listen for workers on ${host}.`);
}

function readPort(path: string): number {
  try {
    return Number(readFileSync(path, "utf8")) || 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return 0;
    throw error;
  }
}
