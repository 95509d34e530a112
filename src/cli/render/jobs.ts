import type { JobRecord } from "../../client/wire-types.ts";
import type { Colors } from "./colors.ts";
import { colorStatus } from "./managed.ts";
import { renderTable } from "./table.ts";
import { durationBetween, renderAgo } from "./time.ts";

const HEADER = [
  "ID",
  "NAME",
  "USER",
  "SUBMITTED",
  "STARTED",
  "DURATION",
  "RESOURCES",
  "STATUS",
  "LOG",
  "GIT COMMIT",
] as const;

/** The job table of one cluster; empty for no job. `now` is in epoch seconds. */
export function renderJobs(
  jobs: readonly JobRecord[],
  options: { readonly colors: Colors; readonly now: number },
): string {
  return renderTable(
    HEADER,
    jobs.map((job) => [
      String(job.job_id),
      job.job_name ?? "-",
      job.username,
      renderAgo(job.submitted_at, options.now),
      renderAgo(job.start_at, options.now),
      durationBetween(job.start_at, job.end_at, options.now),
      job.resources,
      colorStatus(job.status, options.colors),
      job.log_path,
      gitCommitOf(job),
    ]),
  );
}

function gitCommitOf(job: JobRecord): string {
  const commit = job.metadata?.["git_commit"];
  return typeof commit === "string" && commit !== "" ? commit : "-";
}
