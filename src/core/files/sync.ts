import { stat } from "node:fs/promises";
import { isConnectionLoss } from "../../shared/agent/peer-error.ts";
import type { AgentPeer } from "../../shared/agent/peer.ts";
import type { SyncEntry, SyncNeed } from "../../shared/agent/protocol.ts";
import type { Clock } from "../../shared/clock.ts";
import { OperationFailedError } from "../../shared/errors.ts";
import type { WantedFile } from "./pack-files.ts";
import type { TreeSource } from "./tree.ts";
import { openTree, readHere } from "./tree-source.ts";
import { toEntry, unreadable } from "./walk.ts";

/** File systems count time in steps; within one a file may change twice. */
const CLOCK_STEP_MS = 20;
/** Of file systems that keep whole seconds, or two. */
const COARSE_STEP_MS = 2000;
/** Less than this is no difference to the nodes. */
const OTHER_TIME_MS = 2;

export interface SyncRequest {
  /** Unique per request and mount; a repeated sync sends only what is missing. */
  readonly key: string;
  readonly source: string;
  /** Absolute or `~/…`. */
  readonly dest: string;
  /** As in `walkTree`. */
  readonly ignoreFilesFrom: string | undefined;
  readonly clock: Clock;
  /** As in `put_files`. */
  readonly nodes?: readonly number[];
  readonly isForNode?: boolean;
  readonly onSkipped?: (path: string) => void;
  /** Whether an entry is sent; throws for one that must not be there. Absent: all are. */
  readonly admits?: (entry: SyncEntry) => boolean;
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
  const source = await openSource(request);
  try {
    let summary: SyncSummary = { entries: 0, bytes: 0, sentBytes: 0 };
    let round = 0;
    // An empty directory is synced too: the destination has to exist.
    for await (const found of source.rounds()) {
      request.signal?.throwIfAborted();
      const admitted = request.admits === undefined ? found : found.filter(request.admits);
      const entries = admitted.map((entry) => trusted(entry, request.clock.now()));
      summary = add(summary, await syncRound(agent, request, { source, entries, round }));
      round += 1;
    }
    return summary;
  } finally {
    await source.close();
  }
}

async function openSource(request: SyncRequest): Promise<TreeSource> {
  const { source: path, ignoreFilesFrom, onSkipped } = request;
  const stats = await stat(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  if (stats.isDirectory()) {
    return openTree(path, { ignoreFilesFrom, ...(onSkipped === undefined ? {} : { onSkipped }) });
  }
  const entry = await toEntry("", stats, () => Promise.resolve(""));
  if (entry === undefined) throw new OperationFailedError(`${path} is neither a file nor a directory.`);
  return readHere(path, [entry]);
}

/**
 * A file that was written just now may be written again within the same step of the file system's clock, which nobody could see by its
 * time. It gets a time on the nodes that it does not have here, so that the next sync brings it once more.
 */
function trusted(entry: SyncEntry, nowMs: number): SyncEntry {
  const stepMs = entry.mtimeMs % 1000 === 0 ? COARSE_STEP_MS : CLOCK_STEP_MS;
  const isSettled = entry.kind !== "file" || Math.abs(nowMs - entry.mtimeMs) > stepMs;
  return isSettled ? entry : { ...entry, mtimeMs: entry.mtimeMs - OTHER_TIME_MS };
}

function add(a: SyncSummary, b: SyncSummary): SyncSummary {
  return { entries: a.entries + b.entries, bytes: a.bytes + b.bytes, sentBytes: a.sentBytes + b.sentBytes };
}

interface Round {
  readonly source: TreeSource;
  readonly entries: readonly SyncEntry[];
  readonly round: number;
}

async function syncRound(agent: AgentPeer, request: SyncRequest, part: Round): Promise<SyncSummary> {
  const { source, entries, round } = part;
  const key = round === 0 ? request.key : `${request.key}#${round}`;
  const signal = request.signal === undefined ? {} : { signal: request.signal };
  const { dest, nodes, isForNode } = request;
  const meant = { ...(nodes === undefined ? {} : { nodes }), ...(isForNode === undefined ? {} : { isForNode }) };
  const stream = agent.open("put_files", { key, dest, entries, ...meant }, signal);
  const wanted = wantedFiles(entries, await stream.start);
  try {
    for await (const block of source.blocks(wanted)) await stream.send(block);
  } catch (error) {
    const answer = await refusalOf(stream, error);
    stream.cancel();
    throw answer;
  }
  stream.endSend();
  await stream.end;
  return {
    entries: entries.length,
    bytes: entries.reduce((sum, { size }) => sum + size, 0),
    sentBytes: wanted.reduce((sum, { size }) => sum + size, 0),
  };
}

function wantedFiles(entries: readonly SyncEntry[], { need, parts }: SyncNeed): WantedFile[] {
  const partOf = new Map(parts.map((part) => [part.index, part]));
  return need.flatMap((index) => {
    const entry = entries[index];
    const part = partOf.get(index);
    if (entry?.kind !== "file") return [];
    return [{ index, path: entry.path, size: entry.size, ...(part === undefined ? {} : { part }) }];
  });
}

/** The agent's own answer, such as a full disk, says more than the broken stream. */
async function refusalOf(stream: { readonly end: Promise<unknown> }, error: unknown): Promise<unknown> {
  if (!isConnectionLoss(error)) return error;
  return stream.end.then(
    () => error,
    (reason: unknown) => reason,
  );
}
