import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { ServedStream } from "../../shared/agent/peer-types.ts";
import { PART_STEP_BYTES, type SyncNeed, type SyncParams, type SyncPart } from "../../shared/agent/protocol.ts";
import { nodeName } from "../jobs/job-text.ts";
import type { ClusterNode, NodeSync } from "../node/cluster-node.ts";
import { decodeBlocks } from "./decode-blocks.ts";

/** What is about one node. */
const REFUSALS: ReadonlySet<string> = new Set(["NO_SPACE", "NOT_ALLOWED", "PATH_EXISTS"]);

/** One node of a sync and the entries whose content it lacks. */
interface Target {
  /** When there are several. */
  readonly name: string | undefined;
  readonly sync: NodeSync;
  readonly need: ReadonlySet<number>;
}

/** Serves `put_files`: asks every node what it lacks, then passes each block to the nodes that lack one of its files, as it came. */
export async function fanOutSync(
  params: SyncParams,
  stream: ServedStream<SyncNeed>,
  nodes: readonly ClusterNode[],
): Promise<Record<string, never>> {
  const chosen = nodes.filter((node) => params.nodes === undefined || params.nodes.includes(node.index));
  const { key, dest, entries, isForNode } = params;
  const wish = { key, dest, entries, ...(isForNode === undefined ? {} : { isForNode }) };
  const begun = await Promise.allSettled(
    chosen.map(async (node): Promise<Target> => {
      const name = chosen.length > 1 ? nodeName(node.index) : undefined;
      const sync = await onNode(name, () => node.sync(wish, stream.signal));
      return { name, sync, need: new Set(sync.need) };
    }),
  );
  // This node's own files are written in one go, for which the others need not wait: it comes last.
  const targets = begun.flatMap((result) => (result.status === "fulfilled" ? [result.value] : [])).toReversed();
  try {
    for (const result of begun) if (result.status === "rejected") throw result.reason;
    const need = [...new Set(targets.flatMap((target) => target.sync.need))].sort((a, b) => a - b);
    stream.start({ need, parts: need.flatMap((index) => commonPart(index, targets) ?? []) });
    for await (const block of decodeBlocks(stream.chunks)) {
      const lacking = targets.filter((target) => block.files.some((index) => target.need.has(index)));
      await Promise.all(lacking.map(({ name, sync }) => onNode(name, () => sync.write(block))));
    }
    await Promise.all(targets.map(({ name, sync }) => onNode(name, () => sync.finish())));
    return {};
  } catch (error) {
    for (const target of targets) target.sync.abort(error);
    throw error;
  }
}

/** Says by name which of several nodes refused. */
async function onNode<T>(name: string | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (name === undefined || !(error instanceof AgentPeerError) || !REFUSALS.has(error.agentCode)) throw error;
    const { agentCode, message, hint } = error;
    throw new AgentPeerError(agentCode, `On ${name}: ${message}`, {
      cause: error,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

/** The longest beginning of a large file that all nodes have which lack the rest of it. */
function commonPart(index: number, targets: readonly Target[]): SyncPart | undefined {
  const all = targets
    .filter((target) => target.need.has(index))
    .map(({ sync }) => sync.parts.find((part) => part.index === index)?.marks ?? []);
  const steps = Math.min(...all.map((marks) => marks.length));
  for (let step = steps; step > 0; step -= 1) {
    const sha256 = all[0]?.[step - 1];
    if (sha256 !== undefined && all.every((marks) => marks[step - 1] === sha256)) {
      return { index, bytes: step * PART_STEP_BYTES, sha256 };
    }
  }
  return undefined;
}
