import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { ServedStream } from "../../shared/agent/peer-types.ts";
import type { JobStatus, LogsEnd, LogsParams, LogsStart } from "../../shared/agent/protocol.ts";
import type { StoredJob } from "../jobs/job-store.ts";
import { isTerminal } from "../jobs/state.ts";
import type { RunLog } from "./run-log.ts";
import { readChunk } from "./tail-file.ts";
import { findTailOffset } from "./tail-offset.ts";

export interface LogSourceOptions {
  readonly findJob: (jobId: number | null) => StoredJob | undefined;
  /** The open log of a job that is not finished. */
  readonly findLog: (jobId: number) => Promise<RunLog | undefined>;
  readonly logPath: (job: StoredJob) => string;
  /** Calls back after each change of any job's state, until the returned function is called. */
  readonly onJobChange: (listener: () => void) => () => void;
}

/** Serves `logs`: run.log from an offset on, to its end or, when following, to the job's end. */
export async function streamLogs(
  params: LogsParams,
  stream: ServedStream<LogsStart>,
  options: LogSourceOptions,
): Promise<LogsEnd> {
  const job = options.findJob(params.jobId);
  if (job === undefined) {
    if (params.jobId === null) {
      stream.start({ jobId: null, status: null, offset: 0 });
      return { status: null, offset: 0 };
    }
    throw new AgentPeerError("JOB_NOT_FOUND", `Job ${params.jobId} not found (see \`sky queue\`).`);
  }
  const { jobId } = job.record;
  const path = options.logPath(job);
  const log = await options.findLog(jobId);
  const offset = params.offset ?? (await findTailOffset(path, params.tail));
  stream.start({ jobId, status: job.record.status, offset });
  const statusOf = (): JobStatus => options.findJob(jobId)?.record.status ?? "FAILED_DRIVER";
  const follower = new Follower(stream, path, log, offset);
  const changes = new Changes(stream.signal);
  // Looked up only after a change of state: hundreds of followers wake with each line.
  let known: JobStatus | undefined;
  const onJobChange = (): void => {
    known = undefined;
    changes.note();
  };
  const stops = [options.onJobChange(onJobChange), log?.onGrowth(changes.note)];
  try {
    while (!stream.signal.aborted) {
      // Before the log is read: when the job is over by then, so is the log.
      const status = (known ??= statusOf());
      await follower.catchUp();
      if (isTerminal(status) || !params.follow) return { status, offset: follower.offset };
      await changes.next();
    }
  } finally {
    for (const stop of stops) stop?.();
  }
  throw new AgentPeerError("CLOSED", "The caller is gone.");
}

/** Sends what a log has beyond an offset: from memory when it is recent, else from the file. */
class Follower {
  readonly #stream: ServedStream<LogsStart>;
  readonly #path: string;
  readonly #log: RunLog | undefined;
  offset: number;

  constructor(stream: ServedStream<LogsStart>, path: string, log: RunLog | undefined, offset: number) {
    this.#stream = stream;
    this.#path = path;
    this.#log = log;
    this.offset = offset;
  }

  async catchUp(): Promise<void> {
    for (;;) {
      if (this.#log !== undefined && this.offset >= this.#log.size) return;
      const recent = this.#log?.recent(this.offset);
      if (recent === undefined) {
        await this.#sendFile();
        return;
      }
      this.offset += recent.length;
      await this.#stream.send(recent);
    }
  }

  /** Sends the file to its present end. It is open only while it is read: there may be more followers than file descriptors. */
  async #sendFile(): Promise<void> {
    while (!this.#stream.signal.aborted) {
      const piece = readChunk(this.#path, this.offset);
      if (piece.length === 0) return;
      this.offset += piece.length;
      await this.#stream.send(piece);
    }
  }
}

/** Whether anything happened since the last look; wakes on abort as well. */
class Changes {
  #isNoted = false;
  #wake: (() => void) | undefined;

  constructor(signal: AbortSignal) {
    signal.addEventListener("abort", this.note, { once: true });
  }

  readonly note = (): void => {
    this.#isNoted = true;
    this.#wake?.();
  };

  async next(): Promise<void> {
    if (!this.#isNoted) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    this.#isNoted = false;
  }
}
