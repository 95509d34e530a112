import {
  argument,
  commandSpec,
  file,
  flag,
  flagOn,
  integer,
  integerOr,
  optionalArgument,
  text,
  variadic,
  variadicIntegers,
} from "../parser/spec.ts";
import {
  allUsersOption,
  asyncOption,
  configOption,
  followOption,
  outputOption,
  refreshOption,
  syncDownOption,
  verboseOption,
  wholeListOption,
  yesOption,
} from "./shared-options.ts";

export const statusSpec = commandSpec({
  help: "Show clusters.\n\nNames may be globs. Without names your clusters, managed jobs, pools and services are listed. A listed cluster can be reached by `ssh CLUSTER`.",
  args: { clusters: variadic("CLUSTERS", "cluster_name") },
  options: {
    config: configOption,
    verbose: wholeListOption,
    refresh: refreshOption,
    ip: flag("--ip", "Print only the IP address of the head node."),
    endpoints: flag("--endpoints", "Print the URLs of all ports that are open."),
    endpoint: integer("--endpoint", "Print the URL of that port."),
    showManagedJobs: flagOn(
      "--show-managed-jobs / --no-show-managed-jobs",
      "Whether to list managed jobs in progress.",
    ),
    showServices: flagOn("--show-services / --no-show-services", "Whether to list services."),
    showPools: flagOn("--show-pools / --no-show-pools", "Whether to list pools."),
    allUsers: allUsersOption,
    outputFormat: outputOption,
  },
});

export const queueSpec = commandSpec({
  help: "Show the job queue of clusters.\n\nNames may be globs. Without names all clusters that are up are asked.",
  args: { clusters: variadic("CLUSTERS", "cluster_name") },
  options: {
    config: configOption,
    allUsers: allUsersOption,
    skipFinished: flag("--skip-finished -s", "Leave out jobs that have ended."),
    outputFormat: outputOption,
  },
});

export const logsSpec = commandSpec({
  help: "Show the log of a job.\n\nWithout JOB_IDS the latest job's. Ctrl-C stops the printing, not the job.",
  args: { cluster: optionalArgument("CLUSTER", "cluster_name"), jobIds: variadic("JOB_IDS") },
  options: {
    config: configOption,
    provision: flag("--provision", "Show the log of provisioning instead of a job's."),
    hookEvent: text("--hook", "Show the log of a life-cycle hook: stop, preemption or down.", { bareValue: "" }),
    autostopAlias: flag("--autostop", "Same as --hook stop.", { hidden: true }),
    worker: integer("--worker -w", "With --provision: the log of that worker (1, 2, ...)."),
    syncDown: syncDownOption,
    status: flag("--status", "Print only the state of the job; the exit code tells it too."),
    follow: followOption,
    tail: integerOr("--tail", "Print only the last N lines; 0 for all.", -1),
  },
});

export const cancelSpec = commandSpec({
  help: "Cancel jobs.\n\nWithout JOBS the latest running job is cancelled. CLUSTER may be a glob.",
  args: { cluster: argument("CLUSTER", "cluster_name"), jobs: variadicIntegers("JOBS") },
  options: {
    config: configOption,
    all: flag("--all -a", "All jobs of yours on the cluster."),
    allUsers: allUsersOption,
    yes: yesOption,
    asyncCall: asyncOption,
  },
});

export const costReportSpec = commandSpec({
  help: "Show estimated costs of clusters.\n\nCovers live clusters and those torn down in the last days: what their nodes, disks (also while stopped) and public addresses cost in these days.",
  args: {},
  options: {
    config: configOption,
    all: flag("--all -a", "Show every row instead of the latest five."),
    days: integerOr("--days", "How many days back to look; 0 for everything.", 30),
    by: text("--by", "Sum up by user, workspace, infra, or label=KEY."),
    user: text("--user", "Only clusters of that user."),
    workspace: text("--workspace -w", "Only clusters of that workspace."),
    label: text("--label", "Only clusters with that label (key=value)."),
    outputFormat: outputOption,
  },
});

export const orphansSpec = commandSpec({
  help: "Show clusters on the clouds that the server does not know.\n\nLooks over every region of the enabled clouds for what carries the tags of clusters. CLUSTERS are names as they are listed.",
  args: { clusters: variadic("CLUSTERS") },
  options: {
    config: configOption,
    down: flag("--down", "Remove them from the cloud, disks included."),
    adopt: flag("--adopt", "Take them into the server's database, e.g. after it was lost."),
    allUsers: flag("--all-users -u", "Those of other users too."),
    yes: yesOption,
    outputFormat: outputOption,
  },
});

export const checkSpec = commandSpec({
  help: "Check which infra can be used.\n\nLooks for credentials and says what is missing. INFRA_LIST limits the check to those.",
  args: { infraList: variadic("INFRA_LIST") },
  options: {
    config: configOption,
    verbose: verboseOption,
    workspace: text("--workspace -w", "Check for that workspace only."),
    permissions: flag("--permissions", "Say what the credentials of one cloud may do there, and what is missing."),
    from: file("--from", "With --permissions: only what this task YAML needs."),
    region: text("--region", "With --permissions: the region to try."),
    outputFormat: outputOption,
  },
});
