import type { JobStatus } from "../../shared/agent/protocol.ts";
import { NotAvailableYetError } from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";
import type { LogsBody } from "./bodies.ts";

export interface JobLogStream {
  /** Null when no job was ever submitted. */
  readonly jobId: number | null;
  /** Byte of run.log of the first chunk. */
  readonly offset: number;
  /** Raw bytes of run.log. */
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

/** Opens the log of a job. Errors: the cluster does not exist or is not up, the agent cannot be reached. */
export function streamJobLogs(_body: LogsBody, _context: OperationContext): Promise<JobLogStream> {
  return Promise.reject(new NotAvailableYetError("Job logs are not available yet."));
}
