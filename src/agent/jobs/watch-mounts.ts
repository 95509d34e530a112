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

type State = NodeMountStates[number];

/** Says in a job's log why reads and writes of its mounts fail: refusals of S3, keys that ended without new ones, and when new ones came. */
export async function watchMounts(options: WatchMountsOptions): Promise<void> {
  const { nodes, clock, signal } = options;
  const watches = nodes.map((node) => new NodeWatch(node, options));
  // The last look begins after the job's end. Without mounts there is nothing to see: a cluster gets them by a launch, whose job looks anew.
  for (let isLast = false; !isLast;) {
    isLast = signal.aborted;
    if ((await lookAll(watches)) === 0) return;
    await clock.sleep(LOOK_MS, { signal }).catch(() => undefined);
  }
}

async function lookAll(watches: readonly NodeWatch[]): Promise<number> {
  let count = 0;
  for (const watch of watches) count += await watch.look();
  return count;
}

/** What was said of the mounts of one node. */
class NodeWatch {
  readonly #node: ClusterNode;
  readonly #options: WatchMountsOptions;
  /** By place: when the keys ended. */
  readonly #ended = new Map<string, number>();
  /** By place: the refusal that was there last. */
  readonly #refusals = new Map<string, string | undefined>();

  constructor(node: ClusterNode, options: WatchMountsOptions) {
    this.#node = node;
    this.#options = options;
  }

  /** Answers with the number of mounts; 1 for a node that cannot be asked at this moment. */
  async look(): Promise<number> {
    const states = await this.#node.mountStates().catch(() => undefined);
    for (const state of states ?? []) {
      await this.#sayKeys(state);
      await this.#sayRefusal(state);
    }
    return states?.length ?? 1;
  }

  async #sayKeys({ dest, expiresAtMs, keysProblem = NO_SERVER }: State): Promise<void> {
    const before = this.#ended.get(dest);
    if (before !== undefined && before !== expiresAtMs) {
      this.#ended.delete(dest);
      await this.#say(`again-${before}`, dest, "has keys again");
    }
    if (expiresAtMs === undefined || expiresAtMs > this.#options.clock.now() || this.#ended.has(dest)) return;
    this.#ended.set(dest, expiresAtMs);
    const what = `has keys that ended and were not renewed, so reading and writing wait or fail until they are: ${keysProblem}`;
    await this.#say(`ended-${expiresAtMs}`, dest, what);
  }

  /** What was refused before the job began is none of its business. */
  async #sayRefusal({ dest, refusal }: State): Promise<void> {
    const isFirstLook = !this.#refusals.has(dest);
    const before = this.#refusals.get(dest);
    this.#refusals.set(dest, refusal?.line);
    if (isFirstLook || refusal === undefined || refusal.line === before) return;
    await this.#say(`refused-${refusal.line}`, dest, `met a refusal of ${refusal.by ?? "S3"}: ${refusal.text}`);
  }

  #say(step: string, dest: string, what: string): Promise<void> {
    const { nodes, say } = this.#options;
    const { index } = this.#node;
    const where = nodes.length > 1 ? ` on ${nodeName(index)}` : "";
    return say(`mount-${index}-${dest}-${step}`, `skypilot: ${dest}${where} ${what}\n`);
  }
}
