import type { LostWithNode } from "../../shared/agent/protocol.ts";
import { describeError, type AgentLog } from "../node/agent-log.ts";
import type { RemoteNode } from "./remote-node.ts";
import type { StoppedNode } from "./worker-protocol.ts";

export interface AskWorkers {
  readonly workers: readonly RemoteNode[];
  readonly ask: (worker: RemoteNode) => Promise<StoppedNode>;
  /** Where tasks write to buckets: every node has the mounts of the head. */
  readonly places: readonly string[];
  /** Whether the nodes' disks stay. */
  readonly isKept: boolean;
  readonly log: AgentLog;
}

/** What is lost with workers that end: as they say, or all that may be where one gives no answer. */
export async function askWorkers({ workers, ask, ...rest }: AskWorkers): Promise<readonly LostWithNode[]> {
  const lost = await Promise.all(
    workers.map(async (worker) => {
      const answer = await ask(worker).catch((error: unknown): StoppedNode => {
        // The answer is lost when the worker ends quickly; a worker that is away cannot be told.
        rest.log.info("worker gave no answer", { index: worker.index, ...describeError(error) });
        return {};
      });
      if (answer.lost === undefined) return untold(worker.index, rest);
      return answer.lost.map((what) => ({ node: worker.index, what }));
    }),
  );
  return lost.flat();
}

function untold(node: number, { places, isKept }: Pick<AskWorkers, "places" | "isKept">): readonly LostWithNode[] {
  if (places.length === 0) return [];
  const what = `Node ${node} could not be asked for what was not uploaded yet of ${places.join(", ")}.`;
  return [{ node, what, ...(isKept ? { isKept } : {}) }];
}
