import { basename } from "node:path";
import type { MounterPin } from "../../shared/agent/mounts.ts";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { AgentPeer } from "../../shared/agent/peer.ts";
import type { NodeInfo } from "../../shared/agent/protocol.ts";
import { SkyError } from "../../shared/errors.ts";
import { syncTree } from "../files/sync.ts";
import type { OperationContext } from "../operation.ts";
import { greet } from "../provision/renew.ts";

/**
 * Sends the program that mounts to the nodes that cannot fetch it by themselves: each its own platform's archive, which its agent
 * checks by the pinned hash. Throws MOUNTER_MISSING when this server has none either.
 */
export async function bringMounter(
  missing: AgentPeerError,
  agent: AgentPeer,
  context: Pick<OperationContext, "mounters" | "clock" | "signal" | "log" | "requestId">,
): Promise<void> {
  const { signal } = context;
  const pins = await context.mounters.pins();
  const { nodes } = await greet(agent, signal);
  for (const pin of pins) {
    const meant = nodes
      .filter((node) => archOf(node) === pin.arch && (missing.nodes?.includes(node.index) ?? true))
      .map(({ index }) => index);
    if (meant.length === 0) continue;
    const source = await context.mounters.archive(pin, signal).catch((error: unknown) => {
      throw error instanceof SkyError ? neitherHas(missing, error) : error;
    });
    context.log.line(`  Sending rclone ${pin.version} to nodes that cannot fetch it: ${basename(source)}`);
    await syncTree(agent, {
      key: `${context.requestId}-mounter-${pin.arch}`,
      source,
      dest: `~/.sky/agent/rclone-${pin.sha256.slice(0, 16)}.zip`,
      ignoreFilesFrom: undefined,
      clock: context.clock,
      nodes: meant,
      isForNode: true,
      signal,
    });
  }
}

/** Agents of older releases do not tell. */
function archOf(node: NodeInfo): MounterPin["arch"] {
  return node.arch ?? "x64";
}

function neitherHas(missing: AgentPeerError, error: SkyError): AgentPeerError {
  return new AgentPeerError(missing.agentCode, `${missing.message} ${error.message}.`, {
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}
