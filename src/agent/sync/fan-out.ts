import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { ServedStream } from "../../shared/agent/peer-types.ts";
import type { SyncEntry, SyncNeed, SyncParams } from "../../shared/agent/protocol.ts";
import type { ClusterNode, NodeSync } from "../node/cluster-node.ts";

/** One target of a sync and the entries whose content it lacks. */
interface Target {
  readonly sync: NodeSync;
  readonly need: ReadonlySet<number>;
}

/** Serves `sync`: asks every node what it lacks, then passes each file's content to the nodes that lack it. */
export async function fanOutSync(
  params: SyncParams,
  stream: ServedStream<SyncNeed>,
  nodes: readonly ClusterNode[],
): Promise<Record<string, never>> {
  const chosen = nodes.filter((node) => params.nodes === undefined || params.nodes.includes(node.index));
  const { dest, entries } = params;
  const begun = await Promise.allSettled(chosen.map((node) => node.sync(dest, entries, stream.signal)));
  const targets = begun.flatMap((result): Target[] =>
    result.status === "fulfilled" ? [{ sync: result.value, need: new Set(result.value.need) }] : [],
  );
  try {
    for (const result of begun) if (result.status === "rejected") throw result.reason;
    const need = [...new Set(targets.flatMap((target) => target.sync.need))].sort((a, b) => a - b);
    stream.start({ need });
    await passContents(need, { entries, chunks: stream.chunks, targets });
    await Promise.all(targets.map((target) => target.sync.finish()));
    return {};
  } catch (error) {
    for (const target of targets) target.sync.abort();
    throw error;
  }
}

async function passContents(
  need: readonly number[],
  flow: {
    readonly entries: readonly SyncEntry[];
    readonly chunks: AsyncIterable<Uint8Array>;
    readonly targets: readonly Target[];
  },
): Promise<void> {
  const { entries, targets } = flow;
  let position = 0;
  let left = entries[need[0] ?? -1]?.size ?? 0;
  const skipDone = (): void => {
    while (left === 0 && position < need.length) {
      position += 1;
      left = entries[need[position] ?? -1]?.size ?? 0;
    }
  };
  skipDone();
  for await (const chunk of flow.chunks) {
    let rest = chunk;
    while (rest.length > 0) {
      const index = need[position];
      if (index === undefined) throw new AgentPeerError("BAD_PARAMS", "More content came than was asked for.");
      const piece = rest.subarray(0, left);
      rest = rest.subarray(piece.length);
      left -= piece.length;
      const lacking = targets.filter((target) => target.need.has(index));
      await Promise.all(lacking.map((target) => target.sync.write(piece)));
      skipDone();
    }
  }
  if (position < need.length) throw new AgentPeerError("BAD_PARAMS", "Less content came than was asked for.");
}
