import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { Clock } from "../../shared/clock.ts";
import type { ClusterNode } from "../node/cluster-node.ts";
import { nodeName } from "./job-text.ts";

const UNSENT: ReadonlySet<string> = new Set(["MOUNT_DENIED", "MOUNT_FAILED"]);
const STAYS = "It stays on the node and is sent when the reason is gone; `sky down` before that loses it.";
/** A job that waits longer than this is told so, and again each ten seconds. */
const FIRST_WORD_MS = 3000;
const WORDS_MS = 10_000;

export interface FlushOptions {
  readonly nodes: readonly ClusterNode[];
  readonly clock: Clock;
  /** When the job began. */
  readonly sinceMs: number;
  /** Aborts when the job is ended from outside. */
  readonly signal: AbortSignal;
  readonly say: (step: string, text: string) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

/**
 * Waits until what a job has written to mounts is in the buckets. Answers with what will not be. A node that cannot tell is not waited
 * for.
 */
export async function flushMounts(options: FlushOptions): Promise<readonly string[]> {
  const { nodes, clock, sinceMs, signal, say, onError } = options;
  const unsent: string[] = [];
  const beganMs = clock.now();
  const elapsed = (): number => Math.round((clock.now() - beganMs) / 1000);
  const over = new AbortController();
  const flushed = Promise.all(
    nodes.map((node) =>
      node.flushMounts({ forMs: beganMs - sinceMs }, signal).catch((error: unknown) => {
        if (signal.aborted) return;
        onError(error);
        if (!(error instanceof AgentPeerError) || !UNSENT.has(error.agentCode)) return;
        const where = nodes.length > 1 ? `On ${nodeName(node.index)}: ` : "";
        unsent.push(`${where}${error.message} ${STAYS}`);
      }),
    ),
  ).then(() => {
    over.abort();
  });
  await Promise.race([flushed, clock.sleep(FIRST_WORD_MS)]);
  if (over.signal.aborted) return unsent;
  while (!over.signal.aborted && !signal.aborted) {
    const seconds = elapsed();
    await say(`uploading-${seconds}`, `skypilot: cached mount is still uploading (elapsed: ${seconds}s)\n`);
    await Promise.race([flushed, clock.sleep(WORDS_MS)]);
  }
  if (!signal.aborted && unsent.length === 0)
    await say("uploaded", `skypilot: cached mount upload complete (took ${elapsed()}s)\n`);
  return unsent;
}
