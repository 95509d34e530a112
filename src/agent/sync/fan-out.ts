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

interface Flow {
  readonly entries: readonly SyncEntry[];
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly targets: readonly Target[];
}

async function passContents(need: readonly number[], flow: Flow): Promise<void> {
  const { entries, targets } = flow;
  const missing = new Missing(need, entries);
  for await (const chunk of flow.chunks) {
    // Bytes of several files travel on together as long as the same nodes lack them.
    let from = 0;
    let to = 0;
    let lacking: readonly Target[] = [];
    const pass = async (): Promise<void> => {
      const piece = chunk.subarray(from, to);
      from = to;
      if (piece.length > 0) await Promise.all(lacking.map((target) => target.sync.write(piece)));
    };
    while (to < chunk.length) {
      const { index, left } = missing.next();
      const next = targets.filter((target) => target.need.has(index));
      if (next.length !== lacking.length || next.some((target, at) => target !== lacking[at])) {
        await pass();
        lacking = next;
      }
      const taken = Math.min(left, chunk.length - to);
      missing.take(taken);
      to += taken;
    }
    await pass();
  }
  if (!missing.isDone) throw new AgentPeerError("BAD_PARAMS", "Less content came than was asked for.");
}

/** The files whose content is still to come, in order. */
class Missing {
  readonly #need: readonly number[];
  readonly #entries: readonly SyncEntry[];
  #position = 0;
  #left: number;

  constructor(need: readonly number[], entries: readonly SyncEntry[]) {
    this.#need = need;
    this.#entries = entries;
    this.#left = this.#sizeHere();
    this.#skipDone();
  }

  get isDone(): boolean {
    return this.#position >= this.#need.length;
  }

  /** Index of the entry to which the next byte belongs, and how many of its bytes are to come. */
  next(): { readonly index: number; readonly left: number } {
    const index = this.#need[this.#position];
    if (index === undefined) throw new AgentPeerError("BAD_PARAMS", "More content came than was asked for.");
    return { index, left: this.#left };
  }

  take(bytes: number): void {
    this.#left -= bytes;
    this.#skipDone();
  }

  #skipDone(): void {
    while (this.#left === 0 && !this.isDone) {
      this.#position += 1;
      this.#left = this.#sizeHere();
    }
  }

  #sizeHere(): number {
    return this.#entries[this.#need[this.#position] ?? -1]?.size ?? 0;
  }
}
