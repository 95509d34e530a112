import { describeError, type AgentLog } from "../node/agent-log.ts";
import type { NodeMounts } from "./node-mounts.ts";

/** Takes a node's mounts down on its way out. What goes wrong holds nothing up: who removes the node looks again. */
export async function endMounts(
  mounts: NodeMounts,
  options: { readonly forget: boolean },
  log: AgentLog,
): Promise<void> {
  await mounts.end(options).catch((error: unknown) => log.error("mounts not ended", describeError(error)));
}
