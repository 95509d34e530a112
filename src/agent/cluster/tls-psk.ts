import type { TLSSocket, Server } from "node:tls";
import type { NodeConfig } from "../../shared/agent/protocol.ts";

/**
 * Head and workers prove to each other that they know the cluster's token and get a key that the token alone does not reveal
 * (ECDHE). TLS 1.2 and one cipher: nothing can be negotiated down, and there are no certificates.
 */
const PSK_OPTIONS = {
  minVersion: "TLSv1.2",
  maxVersion: "TLSv1.2",
  ciphers: "ECDHE-PSK-CHACHA20-POLY1305",
} as const;
const HANDSHAKE_MS = 10_000;
// It takes as long to load as all of the agent, of which most commands, and nodes that are alone, never need it.
const loadTls = () => import("node:tls");

type Identity = Pick<NodeConfig, "clusterNameOnCloud" | "clusterToken">;

export async function createPskServer(config: Identity, onSocket: (socket: TLSSocket) => void): Promise<Server> {
  const { createServer } = await loadTls();
  const key = Buffer.from(config.clusterToken, "hex");
  return createServer(
    {
      ...PSK_OPTIONS,
      handshakeTimeout: HANDSHAKE_MS,
      pskCallback: (_socket, identity) => (identity === config.clusterNameOnCloud ? key : null),
    },
    onSocket,
  );
}

/** Nothing answers at the head's address: the network between, or the machine, is down. */
export class HeadSilentError extends Error {}

/** What says that no packet came back; a refusal is an answer. */
const SILENCE = new Set(["ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH", "EHOSTDOWN", "ENETDOWN"]);

/** Dials the head. Rejects when it cannot be reached (HeadSilentError when nothing answers there) or does not know the token. */
export async function connectPsk(
  config: Identity,
  address: { readonly host: string; readonly port: number },
): Promise<TLSSocket> {
  const { connect } = await loadTls();
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...PSK_OPTIONS,
      ...address,
      timeout: HANDSHAKE_MS,
      pskCallback: () => ({ psk: Buffer.from(config.clusterToken, "hex"), identity: config.clusterNameOnCloud }),
      // There is no certificate whose name could be checked: the key is the proof.
      checkServerIdentity: () => undefined,
    });
    let isAnswered = false;
    socket.once("connect", () => (isAnswered = true));
    const fail = (error: NodeJS.ErrnoException): void => {
      socket.destroy();
      const isSilent = !isAnswered && SILENCE.has(error.code ?? "");
      reject(isSilent ? new HeadSilentError(error.message, { cause: error }) : error);
    };
    socket.once("error", fail);
    socket.once("timeout", () => {
      fail(Object.assign(new Error("The head did not answer in time."), { code: "ETIMEDOUT" }));
    });
    socket.once("secureConnect", () => {
      socket.setTimeout(0);
      socket.off("error", fail);
      resolve(socket);
    });
  });
}
