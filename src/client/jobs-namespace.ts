import { submit, type WaitOptions } from "./operations.ts";
import type { Request } from "./request.ts";
import type { SkyClient } from "./sky-client.ts";

export interface JobsQueueOptions extends WaitOptions {
  readonly refresh?: boolean;
  readonly skipFinished?: boolean;
  readonly allUsers?: boolean;
  readonly jobIds?: readonly number[];
  readonly limit?: number;
  readonly fields?: readonly string[];
}

/** Managed jobs as `/jobs/queue/v2` lists them; fields are named as on the wire. */
export interface ManagedJobs {
  readonly jobs: readonly Readonly<Record<string, unknown>>[];
  readonly total: number;
  readonly statusCounts: Readonly<Record<string, number>>;
}

interface QueueAnswer {
  readonly jobs: readonly Readonly<Record<string, unknown>>[];
  readonly total?: number;
  readonly status_counts?: Readonly<Record<string, number>>;
}

/** Managed jobs. */
export class JobsNamespace {
  readonly #client: SkyClient;

  constructor(client: SkyClient) {
    this.#client = client;
  }

  queue(options: JobsQueueOptions = {}): Request<ManagedJobs> {
    const body = this.#client.body({
      refresh: options.refresh ?? false,
      skip_finished: options.skipFinished ?? false,
      all_users: options.allUsers ?? false,
      job_ids: options.jobIds ?? null,
      limit: options.limit ?? null,
      ...(options.fields === undefined ? {} : { fields: options.fields }),
    });
    return submit(this.#client.session, "/jobs/queue/v2", body, {
      name: "sky.jobs.queue_v2",
      decode: toManagedJobs,
      ...options,
    });
  }
}

function toManagedJobs(value: unknown): ManagedJobs {
  if (Array.isArray(value)) return { jobs: value as ManagedJobs["jobs"], total: value.length, statusCounts: {} };
  const answer = value as QueueAnswer;
  return { jobs: answer.jobs, total: answer.total ?? answer.jobs.length, statusCounts: answer.status_counts ?? {} };
}
