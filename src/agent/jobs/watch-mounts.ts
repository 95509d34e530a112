import type { Clock } from "../../shared/clock.ts";
import type { ClusterNode, NodeMountStates } from "../node/cluster-node.ts";
import { nodeName } from "./job-text.ts";

const LOOK_MS = 5000;
const NO_SERVER = "the API server is not connected to the cluster";

export interface WatchMountsOptions {
  readonly nodes: readonly ClusterNode[];
  readonly clock: Clock;
  /** Aborts when the job has ended. */
  readonly signal: AbortSignal;
  readonly say: (step: string, text: string) => Promise<void>;
}

/** Says in a job's log why reads and writes of its mounts fail: keys that ended without new ones, and when new ones came. */
export async function watchMounts({ nodes, clock, signal, say }: WatchMountsOptions): Promise<void> {
  /** By node and place: when the keys ended. */
  const ended = new Map<string, number>();
  while (!signal.aborted) {
    let count = 0;
    for (const node of nodes) {
      const states = await statesOf(node);
      count += states?.length ?? 0;
      for (const { dest, expiresAtMs, keysProblem } of states ?? []) {
        const id = `${node.index}-${dest}`;
        const where = nodes.length > 1 ? ` on ${nodeName(node.index)}` : "";
        const before = ended.get(id);
        if (before !== undefined && before !== expiresAtMs) {
          ended.delete(id);
          await say(`keys-again-${id}-${before}`, `skypilot: ${dest}${where} has keys again\n`);
        }
        if (expiresAtMs === undefined || expiresAtMs > clock.now() || ended.has(id)) continue;
        ended.set(id, expiresAtMs);
        const reason = keysProblem ?? NO_SERVER;
        await say(
          `keys-ended-${id}-${expiresAtMs}`,
          `skypilot: the keys of ${dest}${where} have ended and were not renewed, so reading and writing wait or fail until they are: ${reason}\n`,
        );
      }
    }
    // A cluster gets mounts by a launch, whose job looks anew.
    if (count === 0 && nodes.length > 0) return;
    await clock.sleep(LOOK_MS, { signal }).catch(() => undefined);
  }
}

/** Undefined for a node that cannot be asked at this moment. */
async function statesOf(node: ClusterNode): Promise<NodeMountStates | undefined> {
  return node.mountStates().catch(() => undefined);
}
