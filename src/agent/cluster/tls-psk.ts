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

/** Dials the head. Rejects when it cannot be reached or does not know the token. */
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
    const fail = (error: Error): void => {
      socket.destroy();
      reject(error);
    };
    socket.once("error", fail);
    socket.once("timeout", () => fail(new Error("The head did not answer in time.")));
    socket.once("secureConnect", () => {
      socket.setTimeout(0);
      socket.off("error", fail);
      resolve(socket);
    });
  });
}
