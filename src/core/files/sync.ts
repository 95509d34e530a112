import { stat } from "node:fs/promises";
import type { AgentPeer } from "../../shared/agent/peer.ts";
import type { SyncEntry } from "../../shared/agent/protocol.ts";
import { OperationFailedError } from "../../shared/errors.ts";
import { sendFiles } from "./send-files.ts";
import { toEntry, unreadable, walkTree } from "./walk.ts";

/** Entries of one manifest: some 10 MB of JSON. Larger trees go in several rounds. */
const ENTRIES_PER_ROUND = 50_000;

export interface SyncRequest {
  /** Unique per request and mount; a repeated sync sends only what is missing. */
  readonly key: string;
  readonly source: string;
  /** Absolute or `~/…`. */
  readonly dest: string;
  readonly useIgnoreFiles: boolean;
  readonly onSkipped?: (path: string) => void;
  readonly signal?: AbortSignal;
}

export interface SyncSummary {
  readonly entries: number;
  readonly bytes: number;
  readonly sentBytes: number;
}

/**
 * Brings a local file or the content of a directory to every node of the cluster. A link as the source itself is followed,
 * links inside are kept as links. Never removes what is on the node already.
 */
export async function syncTree(agent: AgentPeer, request: SyncRequest): Promise<SyncSummary> {
  const stats = await stat(request.source).catch((error: unknown) => {
    throw unreadable(request.source, error);
  });
  const signal = request.signal === undefined ? {} : { signal: request.signal };
  if (!stats.isDirectory()) {
    const entry = await toEntry("", request.source, stats);
    if (entry === undefined) {
      throw new OperationFailedError(`${request.source} is neither a file nor a directory.`);
    }
    return syncRound(agent, request, { entries: [entry], round: 0 });
  }
  let summary: SyncSummary = { entries: 0, bytes: 0, sentBytes: 0 };
  let entries: SyncEntry[] = [];
  let round = 0;
  const { useIgnoreFiles, onSkipped } = request;
  const walk = walkTree(request.source, {
    useIgnoreFiles,
    ...(onSkipped === undefined ? {} : { onSkipped }),
    ...signal,
  });
  for await (const entry of walk) {
    entries.push(entry);
    if (entries.length < ENTRIES_PER_ROUND) continue;
    summary = add(summary, await syncRound(agent, request, { entries, round }));
    entries = [];
    round++;
  }
  // An empty directory is synced too: the destination has to exist.
  if (entries.length > 0 || round === 0) summary = add(summary, await syncRound(agent, request, { entries, round }));
  return summary;
}

function add(a: SyncSummary, b: SyncSummary): SyncSummary {
  return { entries: a.entries + b.entries, bytes: a.bytes + b.bytes, sentBytes: a.sentBytes + b.sentBytes };
}

async function syncRound(
  agent: AgentPeer,
  request: SyncRequest,
  part: { readonly entries: readonly SyncEntry[]; readonly round: number },
): Promise<SyncSummary> {
  const { entries, round } = part;
  const key = round === 0 ? request.key : `${request.key}#${round}`;
  const signal = request.signal === undefined ? {} : { signal: request.signal };
  const stream = agent.open("sync", { key, dest: request.dest, entries }, signal);
  const { need } = await stream.start;
  const files = need.flatMap((index) => entries[index] ?? []).filter(({ kind }) => kind === "file");
  const sentBytes = files.reduce((sum, { size }) => sum + size, 0);
  try {
    await sendFiles(request.source, files, (bytes) => stream.send(bytes));
  } catch (error) {
    // The agent's own answer, such as a full disk, says more than the broken stream.
    const answer = await Promise.race([
      stream.end.then(
        () => undefined,
        (reason: unknown) => reason,
      ),
      Promise.resolve(),
    ]);
    stream.cancel();
    throw answer ?? error;
  }
  stream.endSend();
  await stream.end;
  return { entries: entries.length, bytes: entries.reduce((sum, entry) => sum + entry.size, 0), sentBytes };
}
