import { hkdfSync } from "node:crypto";
import { ed25519Key, type OpenSshKey } from "../../platform/openssh-key.ts";
import type { NodeConfig } from "../../shared/agent/protocol.ts";

/** Keys by which the nodes of one cluster know each other, and by nothing else. */
export interface InsideIdentity {
  /** Logs in from node to node. */
  readonly login: OpenSshKey;
  /** What every node's server for one connection shows. */
  readonly host: OpenSshKey;
}

/** They follow from the cluster's token, which every node has: nothing more has to be handed out, and they go with it. */
export function insideIdentity(config: Pick<NodeConfig, "clusterToken" | "clusterNameOnCloud">): InsideIdentity {
  const token = Buffer.from(config.clusterToken, "hex");
  const derive = (purpose: string): OpenSshKey => {
    const seed = Buffer.from(hkdfSync("sha256", token, "", `skypilot ssh ${purpose}`, 32));
    return ed25519Key(seed, `${config.clusterNameOnCloud}-${purpose}`);
  };
  return { login: derive("nodes"), host: derive("host") };
}
