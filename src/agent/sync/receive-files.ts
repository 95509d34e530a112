import type { SyncEntry } from "../../shared/agent/protocol.ts";
import type { NodeSync } from "../node/cluster-node.ts";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";

export interface SyncOptions {
  readonly home: string;
  /** Whether paths outside HOME may be made with `sudo -n` when the user may not. */
  readonly mayUseSudo: boolean;
}

export async function beginSync(
  dest: string,
  _entries: readonly SyncEntry[],
  _options: SyncOptions,
): Promise<NodeSync> {
  throw new AgentPeerError("UNKNOWN_METHOD", `Cannot sync ${dest}.`);
}
