import type { JobStatus, LogsEnd } from "../../shared/agent/protocol.ts";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
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

/**
 * Opens the log of a job. Errors: the cluster does not exist or is not up, the agent cannot be reached. A job that is not found is no
 * error: the stream is empty and its end says so.
 */
export async function streamJobLogs(body: LogsBody, context: OperationContext): Promise<JobLogStream> {
  await requireUpCluster(context.db, body.cluster_name, "Tailing logs");
  const { signal } = context;
  const agent = await context.agents.connect(body.cluster_name, { signal });
  const offset = body.log_offset ?? -1;
  const stream = agent.open(
    "logs",
    {
      jobId: body.job_id ?? null,
      follow: body.follow ?? true,
      tail: body.tail ?? 0,
      ...(offset >= 0 ? { offset } : {}),
    },
    { signal },
  );
  try {
    const start = await stream.start;
    const end = stream.end.then((last) => toEnd(start.jobId, last, body.follow ?? true));
    // Whoever stops reading chunks early does not look at the end either.
    end.catch(() => undefined);
    return { jobId: start.jobId, offset: start.offset, chunks: stream.chunks, end };
  } catch (error) {
    if (error instanceof AgentPeerError && error.agentCode === "JOB_NOT_FOUND") return notFound(body);
    throw error;
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
