/** A unix socket's path must fit into `sun_path` (108 bytes on Linux, 104 on macOS). */
const MAX_SOCKET_PATH_BYTES = 100;

/** Where an agent listens: what both the agent and whoever connects to it compute from the agent's root. */
export interface AgentSocket {
  readonly path: string;
  /** A folder outside the root that must be made first, 0700 and owned by `uid`; absent when the socket is in the root. */
  readonly privateDirectory?: string;
}

/**
 * Path of the socket of the agent whose root directory is `root` (absolute, normalised): `<root>/agent.sock`, or when that is too long for
 * the kernel a name derived from it in a private folder of user `uid` under /tmp.
 */
export function agentSocket(root: string, uid: number): AgentSocket {
  const inRoot = `${root}/agent.sock`;
  if (Buffer.byteLength(inRoot) <= MAX_SOCKET_PATH_BYTES) return { path: inRoot };
  const privateDirectory = `/tmp/sky-agents-${uid}`;
  return { path: `${privateDirectory}/${hashText(root)}.sock`, privateDirectory };
}

export function agentSocketPath(root: string, uid: number): string {
  return agentSocket(root, uid).path;
}

/** 128 bits of FNV-1a in four lanes: tells roots apart; nothing secret or hostile depends on it, the folder is private. */
function hashText(text: string): string {
  let hex = "";
  for (let lane = 0; lane < 4; lane += 1) {
    let hash = (0x811c9dc5 ^ (lane * 0x9e3779b9)) >>> 0;
    for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
    hex += hash.toString(16).padStart(8, "0");
  }
  return hex;
}
