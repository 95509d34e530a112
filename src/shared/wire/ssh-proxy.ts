/** The WebSocket that carries an SSH connection to a node: each message has a type byte and a payload. */

export const SSH_PROXY = {
  /** Bytes of the SSH connection. */
  data: 0,
  /** Four bytes of a number, sent back as they are. */
  ping: 1,
  /** How long a ping took; only for statistics. */
  latency: 2,
} as const;

/** To the head; the path has the name that the original's clients use for clusters on machines behind the API server. */
export const SSH_PROXY_HEAD_PATH = "/kubernetes-pod-ssh-proxy";
/** To any node, by the parameter `worker`. */
export const SSH_PROXY_NODE_PATH = "/slurm-job-ssh-proxy";

/** Clients of versions up to this one send and expect bare bytes. */
const LAST_BARE_VERSION = 21;

export function isFramed(clientVersion: string | null): boolean {
  return Number(clientVersion ?? 0) > LAST_BARE_VERSION;
}

export function frame(type: number, payload: Uint8Array): Uint8Array {
  const message = new Uint8Array(payload.length + 1);
  message[0] = type;
  message.set(payload, 1);
  return message;
}

/** A close reason may have 123 bytes. */
export function closeReason(text: string): string {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= 123) return text;
  // A character that the cut broke is left out.
  return `${new TextDecoder().decode(bytes.subarray(0, 117)).replace(/\uFFFD+$/, "")}...`;
}

/** Closing code for a connection that was refused or whose node cannot be reached. */
export const SSH_PROXY_REFUSED = 1008;
