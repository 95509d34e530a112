import {
  commandSpec,
  argument,
  choiceOr,
  flag,
  flagOn,
  integer,
  integerOr,
  optionalArgument,
  optionalInteger,
  requiredVariadic,
  text,
  texts,
  variadic,
  variadicIntegers,
} from "../parser/spec.ts";
import {
  asyncOption,
  configOption,
  outputOption,
  resourceOptions,
  verboseOption,
  yesOption,
} from "./shared-options.ts";

export const jobsLaunchSpec = commandSpec({
  help: "Launch a managed job.",
  args: { entrypoint: requiredVariadic("ENTRYPOINT", "file_name") },
  options: {
    config: configOption,
    name: text("--name -n", "Name of the managed job."),
    ...resourceOptions,
    priority: text("--priority", "Priority of the job where the infra knows priorities."),
    asyncCall: flag("--async / --no-async", "Return as soon as the request is sent."),
    cluster: text("--cluster -c", "Same as --name.", { hidden: true }),
    jobRecovery: text("--job-recovery", "How to recover the job when its nodes are lost."),
    detachRun: flag("--detach-run -d", "Return as soon as the job is submitted, without its log."),
    pool: text("--pool -p", "Run on a worker of that pool."),
    numJobs: integer("--num-jobs", "Submit that many copies to the pool."),
    jobGroup: text("--job-group", "Run the tasks of the YAML as one group."),
    noJobGroup: flag("--no-job-group", "Run the tasks of the YAML one after another."),
    gitUrl: text("--git-url", "Git repository that becomes the working directory."),
    gitRef: text("--git-ref", "Branch, tag or commit of --git-url."),
    workspace: text("--workspace -w", "Workspace to work in."),
    yes: yesOption,
  },
  passThrough: () => 0,
});

export const jobsQueueSpec = commandSpec({
  help: "Show managed jobs.",
  args: {},
  options: {
    config: configOption,
    verbose: verboseOption,
    limit: integerOr("--limit -l", "Show at most that many rows.", 50),
    refresh: flag("--refresh -r", "Restart the controller when it is stopped."),
    skipFinished: flag("--skip-finished", "Leave out jobs that have ended."),
    statuses: texts("--status -s", "Show only jobs in that state; may be repeated or comma-separated.", {
      bareValue: "__skip_finished__",
    }),
    since: text("--since", "Only jobs submitted in the last 7d, 48h, 30m, 2w or that many seconds."),
    after: text("--after", "Only jobs submitted after that local date and time."),
    before: text("--before", "Only jobs submitted before that local date and time."),
    infra: text("--infra", "Only jobs on that infra."),
    allUsers: flag("--all-users -u", "Include what belongs to other users."),
    all: flag("--all -a", "Show every job."),
    outputFormat: outputOption,
  },
});

export const jobsCancelSpec = commandSpec({
  help: "Cancel managed jobs.",
  args: { jobIds: variadicIntegers("JOB_IDS") },
  options: {
    config: configOption,
    name: text("--name -n", "Name of the job."),
    pool: text("--pool -p", "Pool to work with."),
    task: text("--task", "Only that task of the job, by index or name."),
    graceful: flag("--graceful", "Wait until cached writes to buckets are uploaded."),
    gracefulTimeout: integer("--graceful-timeout", "Seconds to wait with --graceful."),
    all: flag("--all -a", "All of yours."),
    yes: yesOption,
    allUsers: flag("--all-users -u", "Include what belongs to other users."),
  },
});

export const jobsLogsSpec = commandSpec({
  help: "Show the log of a managed job.",
  args: { jobId: optionalInteger("JOB_ID"), task: optionalArgument("TASK") },
  options: {
    config: configOption,
    name: text("--name -n", "Name of the job."),
    follow: flagOn("--follow / --no-follow", "Keep printing while the job runs."),
    controller: flag("--controller", "The controller's log instead of the job's."),
    refresh: flag("--refresh -r", "Restart the controller when it is stopped."),
    syncDown: flag("--sync-down -s", "Download the logs instead of printing them."),
    tail: integerOr("--tail", "Print only the last N lines; 0 for all.", -1),
  },
});

export const jobsDashboardSpec = commandSpec({
  help: "Open the dashboard at its jobs page.",
  args: {},
  options: {
    config: configOption,
  },
});

export const jobsPoolApplySpec = commandSpec({
  help: "Create a pool or change one.",
  args: { poolYaml: variadic("POOL_YAML", "file_name") },
  options: {
    config: configOption,
    pool: text("--pool -p", "Pool to work with."),
    mode: choiceOr("--mode", ["rolling", "blue_green"], "How to replace what runs now.", "rolling"),
    workers: integer("--workers", "Number of workers."),
    ...resourceOptions,
    asyncCall: asyncOption,
    yes: yesOption,
  },
});

export const jobsPoolStatusSpec = commandSpec({
  help: "Show pools.",
  args: { poolNames: variadic("POOL_NAMES") },
  options: {
    config: configOption,
    verbose: verboseOption,
    showAll: flag("--all -a", "Show all rows."),
  },
});

export const jobsPoolDownSpec = commandSpec({
  help: "Tear down pools.",
  args: { poolNames: variadic("POOL_NAMES") },
  options: {
    config: configOption,
    all: flag("--all -a", "All of yours."),
    purge: flag("--purge -p", "Forget it here even when the infra reports an error."),
    yes: yesOption,
    asyncCall: asyncOption,
  },
});

export const jobsPoolLogsSpec = commandSpec({
  help: "Show the log of a pool's workers.",
  args: { poolName: argument("POOL_NAME"), workerIds: variadicIntegers("WORKER_IDS") },
  options: {
    config: configOption,
    follow: flagOn("--follow / --no-follow", "Keep printing while the job runs."),
    controller: flag("--controller", "The controller's log instead of the job's."),
    syncDown: flag("--sync-down -s", "Download the logs instead of printing them."),
    tail: integer("--tail", "Print only the last N lines; 0 for all."),
  },
});
