import { TERMINAL_JOB_STATUSES, type JobStatus } from "../../shared/agent/protocol.ts";

/** Where a job may go from each state. */
export const nextJobStatuses = {
  INIT: ["PENDING", "FAILED_DRIVER", "CANCELLED"],
  PENDING: ["SETTING_UP", "RUNNING", "FAILED_DRIVER", "CANCELLED"],
  SETTING_UP: ["RUNNING", "SUCCEEDED", "FAILED_SETUP", "FAILED_DRIVER", "CANCELLED"],
  RUNNING: ["SUCCEEDED", "FAILED", "FAILED_DRIVER", "CANCELLED"],
  FAILED_DRIVER: [],
  SUCCEEDED: [],
  FAILED: [],
  FAILED_SETUP: [],
  CANCELLED: [],
} as const satisfies Record<JobStatus, readonly JobStatus[]>;

export function canBecome(from: JobStatus, to: JobStatus): boolean {
  const allowed: readonly JobStatus[] = nextJobStatuses[from];
  return allowed.includes(to);
}

export function isTerminal(status: JobStatus): boolean {
  return TERMINAL_JOB_STATUSES.has(status);
}

/** What can be known of a job's processes after the agent was away. */
export interface JobObservation {
  readonly status: JobStatus;
  /** Whether nodes were given to the job. */
  readonly isPlaced: boolean;
}

/** What a starting agent does with a job: put it back in the queue, look after its tasks again, give it up, or nothing. */
export function decideOnStart(job: JobObservation): "enqueue" | "resume" | "fail" | "none" {
  if (isTerminal(job.status)) return "none";
  if (job.status === "INIT") return "fail";
  if (job.status === "PENDING") return "enqueue";
  return job.isPlaced ? "resume" : "fail";
}
