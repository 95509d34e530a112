import type { NodeConfig } from "../../shared/agent/protocol.ts";
import { insideBin, writeInsideFiles, type InsideNode } from "./files.ts";
import { insideIdentity, type InsideIdentity } from "./identity.ts";

/** How the tasks of this node reach the other nodes of the cluster by `ssh`. */
export interface Inside {
  readonly identity: InsideIdentity;
  /** PATH of tasks and of those who log in. */
  readonly path: string;
  /** Told whenever somebody comes to the cluster. */
  update(nodes: readonly InsideNode[]): void;
}

/** Undefined where nobody logs in: nodes of the server's own machine are directories. */
export function openInside(
  config: NodeConfig,
  options: { readonly root: string; readonly path: string },
): Inside | undefined {
  if ((config.sshKeys ?? []).length === 0) return undefined;
  const { root, path } = options;
  const identity = insideIdentity(config);
  const program = [process.execPath, process.argv[1] ?? ""];
  const { clusterName } = config;
  return {
    identity,
    path: `${insideBin(root)}:${path}`,
    update: (nodes) => writeInsideFiles(nodes, { root, clusterName, identity, program, path }),
  };
}
