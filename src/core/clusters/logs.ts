import type { JobStatus, LogsEnd, LogsParams, LogsStart } from "../../shared/agent/protocol.ts";
import { AgentPeerError, isConnectionLoss } from "../../shared/agent/peer-error.ts";
import type { OpenStream } from "../../shared/agent/peer-types.ts";
import type { AgentPeer } from "../../shared/agent/peer.ts";
import { workAgain } from "../agents/again.ts";
import type { OperationContext } from "../operation.ts";
import type { LogsBody } from "./bodies.ts";
import { requireUpCluster } from "./cluster.ts";
import { success } from "./messages.ts";

export interface JobLogStream {
  /** Null when no job was ever submitted. */
  readonly jobId: number | null;
  /** Byte of run.log of the first chunk. */
  readonly offset: number;
  /** Raw bytes of run.log. Must be consumed, or the context's signal aborted. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Resolves after the last chunk. */
  readonly end: Promise<JobLogEnd>;
}

export interface JobLogEnd {
  readonly status: JobStatus | null;
  /** 0 succeeded, 100 failed, 101 not finished, 102 not found, 103 cancelled. */
  readonly exitCode: number;
  /** The closing line that is not in run.log, without its newline; undefined when there is none. */
  readonly trailer: string | undefined;
}

/** A job goes on while nobody can reach its cluster, so whoever follows its log waits. */
const FOLLOW_PATIENCE_MS = 600_000;

/**
 * Opens the log of a job. When the way to the cluster is lost meanwhile, the stream goes on at the same byte as soon as there is one
 * again. Errors: the cluster does not exist or is not up, the agent cannot be reached. A job that is not found is no error: the
 * stream is empty and its end says so.
 */
export async function streamJobLogs(body: LogsBody, context: OperationContext): Promise<JobLogStream> {
  const check = (): Promise<unknown> => requireUpCluster(context.db, body.cluster_name, "Tailing logs");
  await check();
  const { signal } = context;
  const follow = body.follow ?? true;
  const offset = body.log_offset ?? -1;
  const openAt = (params: LogsParams, wasReached: boolean): Promise<OpenLog> => {
    const work = async (agent: AgentPeer): Promise<OpenLog> => {
      const stream = agent.open("logs", params, { signal });
      return { stream, start: await stream.start };
    };
    const { cluster_name: clusterName } = body;
    return workAgain({ clusterName, wasReached, check, patienceMs: FOLLOW_PATIENCE_MS, work }, context);
  };
  try {
    const params = { jobId: body.job_id ?? null, follow, tail: body.tail ?? 0 };
    const first = await openAt(offset >= 0 ? { ...params, offset } : params, false);
    const { jobId } = first.start;
    const ending = Promise.withResolvers<JobLogEnd>();
    // Whoever stops reading chunks early does not look at the end either.
    ending.promise.catch(() => undefined);
    const reopen = (at: number): Promise<OpenLog> => openAt({ jobId, follow, tail: 0, offset: at }, true);
    const chunks = readOn(first, reopen, { signal, ended: (last) => ending.resolve(toEnd(jobId, last, follow)) });
    return { jobId, offset: first.start.offset, chunks, end: ending.promise };
  } catch (error) {
    if (error instanceof AgentPeerError && error.agentCode === "JOB_NOT_FOUND") return notFound(body);
    throw error;
  }
}

interface OpenLog {
  readonly stream: OpenStream<LogsStart, LogsEnd>;
  readonly start: LogsStart;
}

async function* readOn(
  first: OpenLog,
  reopen: (offset: number) => Promise<OpenLog>,
  options: { readonly signal: AbortSignal; readonly ended: (end: LogsEnd) => void },
): AsyncGenerator<Uint8Array, void, undefined> {
  let { stream } = first;
  let { offset } = first.start;
  for (;;) {
    try {
      for await (const chunk of stream.chunks) {
        offset += chunk.length;
        yield chunk;
      }
      options.ended(await stream.end);
      return;
    } catch (error) {
      if (!isConnectionLoss(error) || options.signal.aborted) throw error;
    }
    ({ stream } = await reopen(offset));
  }
}

function notFound(body: LogsBody): JobLogStream {
  const trailer = `Job ${body.job_id} not found (see \`sky queue\`).`;
  return { jobId: null, offset: 0, chunks: nothing(), end: Promise.resolve({ status: null, exitCode: 102, trailer }) };
}

async function* nothing(): AsyncGenerator<Uint8Array, void, undefined> {
  // No bytes: the job does not exist.
}

function toEnd(jobId: number | null, end: LogsEnd, isFollowing: boolean): JobLogEnd {
  const { status } = end;
  if (jobId === null || status === null) {
    return { status: null, exitCode: 102, trailer: "Skip streaming logs as no job has been submitted." };
  }
  const exitCode = exitCodeOf(status, isFollowing);
  const trailer =
    exitCode === 101 || (exitCode === 0 && status !== "SUCCEEDED")
      ? undefined
      : success(`Job finished (status: ${status}).`);
  return { status, exitCode, trailer };
}

/** Exit code of `sky logs`; a job that still runs is fine for whoever asked for what is there. */
export function exitCodeOf(status: JobStatus, isFollowing: boolean): number {
  switch (status) {
    case "SUCCEEDED":
      return 0;
    case "FAILED":
    case "FAILED_SETUP":
    case "FAILED_DRIVER":
      return 100;
    case "CANCELLED":
      return 103;
    case "INIT":
    case "PENDING":
    case "SETTING_UP":
    case "RUNNING":
      return isFollowing ? 101 : 0;
  }
}
