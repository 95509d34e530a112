import { describeError, type AgentLog } from "../node/agent-log.ts";
import type { EndOptions, NodeMounts } from "./node-mounts.ts";

/**
 * Takes a node's mounts down on its way out. Gives what is lost with it, in sentences. What goes wrong holds nothing up: who removes the node
 * looks again.
 */
export async function endMounts(mounts: NodeMounts, options: EndOptions, log: AgentLog): Promise<readonly string[]> {
  try {
    return await mounts.end(options);
  } catch (error) {
    log.error("mounts not ended", describeError(error));
    return [];
  }
}
