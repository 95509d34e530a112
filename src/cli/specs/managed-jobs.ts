import {
  argument,
  commandSpec,
  flag,
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
  allOfYoursOption,
  allUsersOption,
  asyncOption,
  configOption,
  controllerOption,
  detachRunOption,
  followOption,
  gitOptions,
  gracefulOptions,
  modeOption,
  outputOption,
  poolOption,
  purgeOption,
  resourceOptions,
  syncDownOption,
  verboseOption,
  workspaceOption,
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
    asyncCall: asyncOption,
    cluster: text("--cluster -c", "Same as --name.", { hidden: true }),
    jobRecovery: text("--job-recovery", "How to recover the job when its nodes are lost."),
    detachRun: detachRunOption,
    pool: text("--pool -p", "Run on a worker of that pool."),
    numJobs: integer("--num-jobs", "Submit that many copies to the pool."),
    jobGroup: text("--job-group", "Run the tasks of the YAML as one group."),
    noJobGroup: flag("--no-job-group", "Run the tasks of the YAML one after another."),
    ...gitOptions,
    workspace: workspaceOption,
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
    allUsers: allUsersOption,
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
    pool: poolOption,
    task: text("--task", "Only that task of the job, by index or name."),
    ...gracefulOptions,
    all: allOfYoursOption,
    yes: yesOption,
    allUsers: allUsersOption,
  },
});

export const jobsLogsSpec = commandSpec({
  help: "Show the log of a managed job.",
  args: { jobId: optionalInteger("JOB_ID"), task: optionalArgument("TASK") },
  options: {
    config: configOption,
    name: text("--name -n", "Name of the job."),
    follow: followOption,
    controller: controllerOption,
    refresh: flag("--refresh -r", "Restart the controller when it is stopped."),
    syncDown: syncDownOption,
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
    pool: poolOption,
    mode: modeOption,
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
    all: allOfYoursOption,
    purge: purgeOption,
    yes: yesOption,
    asyncCall: asyncOption,
  },
});

export const jobsPoolLogsSpec = commandSpec({
  help: "Show the log of a pool's workers.",
  args: { poolName: argument("POOL_NAME"), workerIds: variadicIntegers("WORKER_IDS") },
  options: {
    config: configOption,
    follow: followOption,
    controller: controllerOption,
    syncDown: syncDownOption,
    tail: integer("--tail", "Print only the last N lines; 0 for all."),
  },
});
