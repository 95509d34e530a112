import type { JobRecord, JobStatus } from "../../shared/agent/protocol.ts";
import type { Operation, OperationContext } from "../operation.ts";
import type { CancelBody, JobStatusBody, QueueBody } from "./bodies.ts";
import { requireCluster, requireUpCluster } from "./cluster.ts";
import { checkOwner } from "./owner.ts";
import { yellow } from "./messages.ts";

/** A job of a cluster's queue on the wire. Times are seconds with fraction. */
export interface ClusterJobRecord {
  readonly job_id: number;
  readonly job_name: string;
  readonly username: string;
  readonly user_hash: string;
  readonly submitted_at: number;
  readonly start_at: number | null;
  readonly end_at: number | null;
  readonly resources: string;
  readonly status: JobStatus;
  readonly log_path: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly links: Readonly<Record<string, string>>;
}

export const queueOperation: Operation<QueueBody, readonly ClusterJobRecord[]> = {
  name: "clusters.queue",
  wireName: "queue",
  schedule: "short",
  isResumable: false,
  run: async (body, context) => {
    await requireUpCluster(context.db, body.cluster_name, "Getting the job queue");
    const agent = await context.agents.connect(body.cluster_name, { signal: context.signal });
    const { jobs } = await agent.call(
      "queue",
      {
        ...(body.all_users === true ? {} : { userHash: context.caller.userId }),
        ...(body.skip_finished === true ? { skipFinished: true } : {}),
      },
      { signal: context.signal },
    );
    return jobs.map(toClusterJob);
  },
};

function toClusterJob(job: JobRecord): ClusterJobRecord {
  return {
    job_id: job.jobId,
    // Clients want text, and show this for a job without a name.
    job_name: job.name ?? "-",
    username: job.userName,
    user_hash: job.userHash,
    submitted_at: job.submittedAt,
    start_at: job.startAt,
    end_at: job.endAt,
    resources: job.resourcesText,
    status: job.status,
    log_path: job.logDir,
    metadata: job.metadata,
    links: {},
  };
}

export const jobStatusOperation: Operation<JobStatusBody, Readonly<Record<string, JobStatus | null>>> = {
  name: "clusters.job_status",
  wireName: "job_status",
  schedule: "short",
  isResumable: false,
  run: async (body, context) => {
    await requireUpCluster(context.db, body.cluster_name, "Getting the job status");
    context.log.line(yellow("Getting job status..."));
    const agent = await context.agents.connect(body.cluster_name, { signal: context.signal });
    const ids = body.job_ids ?? undefined;
    const query = ids === undefined ? { limit: 1 } : { jobIds: ids };
    const { jobs } = await agent.call("queue", query, { signal: context.signal });
    const known = new Map(jobs.map((job) => [job.jobId, job.status]));
    return Object.fromEntries((ids ?? [...known.keys()]).map((id) => [String(id), known.get(id) ?? null]));
  },
};

export const cancelOperation: Operation<CancelBody, null> = {
  name: "clusters.cancel",
  wireName: "cancel",
  schedule: "short",
  isResumable: false,
  run: runCancel,
};

async function runCancel(body: CancelBody, context: OperationContext): Promise<null> {
  const name = body.cluster_name;
  const cluster =
    body.try_cancel_if_cluster_is_init === true
      ? await requireCluster(context.db, name)
      : await requireUpCluster(context.db, name, "Cancelling jobs");
  await checkOwner(cluster, context);
  const agent = await context.agents.connect(name, { signal: context.signal });
  const ids = body.job_ids ?? undefined;
  context.log.line(yellow(cancelling(body, ids)));
  const { jobIds } = await agent.call(
    "cancel",
    { key: context.requestId, ...(await selection(body, ids, context)) },
    { signal: context.signal },
  );
  context.log.line(
    jobIds.length > 0
      ? `Cancelled job ID(s): ${jobIds.join(", ")}`
      : "No jobs cancelled. They may be in terminal states.",
  );
  return null;
}

function cancelling(body: CancelBody, ids: readonly number[] | undefined): string {
  const where = `on cluster '${body.cluster_name}'...`;
  if (body.all_users === true) return `Cancelling all users' jobs ${where}`;
  if (body.all === true) return `Cancelling all your jobs ${where}`;
  if (ids !== undefined) return `Cancelling jobs (${ids.join(", ")}) ${where}`;
  return `Cancelling latest running job ${where}`;
}

async function selection(
  body: CancelBody,
  ids: readonly number[] | undefined,
  context: OperationContext,
): Promise<{ readonly jobIds?: readonly number[]; readonly all?: boolean; readonly userHash?: string }> {
  const userHash = context.caller.userId;
  if (body.all_users === true) return { all: true };
  if (body.all === true) return { all: true, userHash };
  if (ids !== undefined) return { jobIds: ids };
  const agent = await context.agents.connect(body.cluster_name, { signal: context.signal });
  const { jobs } = await agent.call("queue", { userHash, skipFinished: true }, { signal: context.signal });
  const running = jobs.filter((job) => job.status === "RUNNING" || job.status === "SETTING_UP");
  const latest = (running.length > 0 ? running : jobs).reduce((id, job) => Math.max(id, job.jobId), 0);
  return { jobIds: latest === 0 ? [] : [latest] };
}
