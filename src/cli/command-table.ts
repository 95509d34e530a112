import type { Context } from "./context.ts";
import type { AnyCommandSpec, CommandSpec, Input } from "./parser/spec.ts";

/** Handles a command; gives its exit code (0 when nothing is given). */
type Handler = (input: { args: unknown; options: unknown }, ctx: Context) => Promise<number | void>;

export interface CommandEntry {
  /** Words after `sky`. */
  readonly path: string;
  readonly summary: string;
  readonly hidden?: boolean;
  /** The command to use instead. */
  readonly replacedBy?: string;
  /** Absent for a group. */
  readonly spec?: () => Promise<AnyCommandSpec>;
  /** Absent while the command is not available. */
  readonly run?: () => Promise<Handler>;
}

interface Traits {
  readonly hidden?: boolean;
  readonly replacedBy?: string;
}

function group(path: string, summary: string, traits: Traits = {}): CommandEntry {
  return { path, summary, ...traits };
}

function command<A, O>(
  path: string,
  summary: string,
  spec: () => Promise<CommandSpec<A, O>>,
  run: () => Promise<(input: Input<CommandSpec<A, O>>, ctx: Context) => Promise<number | void>>,
  traits: Traits = {},
): CommandEntry {
  // The parser makes the input from the very spec that the handler's type is derived from.
  return { path, summary, spec: spec as () => Promise<AnyCommandSpec>, run: run as () => Promise<Handler>, ...traits };
}

function planned<A, O>(
  path: string,
  summary: string,
  spec: () => Promise<CommandSpec<A, O>>,
  traits: Traits = {},
): CommandEntry {
  return { path, summary, spec: spec as () => Promise<AnyCommandSpec>, ...traits };
}

const HIDDEN = { hidden: true } as const;

/** Every command, in the order of the help text. */
export const commandTable: readonly CommandEntry[] = [
  command(
    "launch",
    "Launch a cluster or run a task on one.",
    () => import("./specs/launch.ts").then((m) => m.launchSpec),
    () => import("./commands/launch.ts").then((m) => m.runLaunch),
  ),
  command(
    "exec",
    "Run a task or a command on an existing cluster.",
    () => import("./specs/launch.ts").then((m) => m.execSpec),
    () => import("./commands/exec.ts").then((m) => m.runExec),
  ),
  command(
    "status",
    "Show clusters.",
    () => import("./specs/clusters.ts").then((m) => m.statusSpec),
    () => import("./commands/status.ts").then((m) => m.runStatus),
  ),
  planned(
    "status-kubernetes",
    "Show what SkyPilot runs in the Kubernetes cluster.",
    () => import("./specs/infra.ts").then((m) => m.statusKubernetesSpec),
    HIDDEN,
  ),
  command(
    "cost-report",
    "Show estimated costs of clusters.",
    () => import("./specs/clusters.ts").then((m) => m.costReportSpec),
    () => import("./commands/cost-report.ts").then((m) => m.runCostReport),
  ),
  command(
    "queue",
    "Show the job queue of clusters.",
    () => import("./specs/clusters.ts").then((m) => m.queueSpec),
    () => import("./commands/queue.ts").then((m) => m.runQueue),
  ),
  command(
    "logs",
    "Show the log of a job.",
    () => import("./specs/clusters.ts").then((m) => m.logsSpec),
    () => import("./commands/logs.ts").then((m) => m.runLogs),
  ),
  command(
    "cancel",
    "Cancel jobs.",
    () => import("./specs/clusters.ts").then((m) => m.cancelSpec),
    () => import("./commands/cancel.ts").then((m) => m.runCancel),
  ),
  command(
    "stop",
    "Stop clusters.",
    () => import("./specs/lifecycle.ts").then((m) => m.stopSpec),
    () => import("./commands/lifecycle.ts").then((m) => m.runStop),
  ),
  command(
    "autostop",
    "Plan an autostop or autodown of clusters.",
    () => import("./specs/lifecycle.ts").then((m) => m.autostopSpec),
    () => import("./commands/lifecycle.ts").then((m) => m.runAutostop),
  ),
  command(
    "start",
    "Restart clusters.",
    () => import("./specs/lifecycle.ts").then((m) => m.startSpec),
    () => import("./commands/start.ts").then((m) => m.runStart),
  ),
  command(
    "down",
    "Tear down clusters.",
    () => import("./specs/lifecycle.ts").then((m) => m.downSpec),
    () => import("./commands/lifecycle.ts").then((m) => m.runDown),
  ),
  command(
    "check",
    "Check which infra can be used.",
    () => import("./specs/clusters.ts").then((m) => m.checkSpec),
    () => import("./commands/check.ts").then((m) => m.runCheck),
  ),
  group("aws", "AWS: logins, profiles and permissions."),
  command(
    "aws login",
    "Log in for an AWS profile with SSO or MFA.",
    () => import("./specs/aws.ts").then((m) => m.awsLoginSpec),
    () => import("./commands/aws/login.ts").then((m) => m.runAwsLogin),
  ),
  command(
    "aws configure-sso",
    "Make an AWS profile that uses SSO.",
    () => import("./specs/aws.ts").then((m) => m.awsConfigureSsoSpec),
    () => import("./commands/aws/configure-sso.ts").then((m) => m.runAwsConfigureSso),
  ),
  command(
    "aws policy",
    "Print the IAM policy that is needed.",
    () => import("./specs/aws-policy.ts").then((m) => m.awsPolicySpec),
    () => import("./commands/aws/policy.ts").then((m) => m.runAwsPolicy),
  ),
  command(
    "aws setup",
    "Make role, instance profile and policy.",
    () => import("./specs/aws-policy.ts").then((m) => m.awsSetupSpec),
    () => import("./commands/aws/setup.ts").then((m) => m.runAwsSetup),
  ),
  command(
    "show-gpus",
    "Show the accelerators on offer.",
    () => import("./specs/infra.ts").then((m) => m.showGpusSpec),
    () => import("./commands/gpus-list.ts").then((m) => m.runShowGpus),
    { hidden: true, replacedBy: "gpus list" },
  ),
  group("gpus", "Accelerators: what is on offer and at what price."),
  command(
    "gpus list",
    "Show the accelerators on offer.",
    () => import("./specs/infra.ts").then((m) => m.gpusListSpec),
    () => import("./commands/gpus-list.ts").then((m) => m.runGpusList),
  ),
  planned("gpus label", "Label the GPU nodes of a Kubernetes cluster.", () =>
    import("./specs/infra.ts").then((m) => m.gpusLabelSpec),
  ),
  group("storage", "Buckets that tasks use."),
  planned("storage ls", "List storage.", () => import("./specs/infra.ts").then((m) => m.storageLsSpec)),
  planned("storage delete", "Delete storage.", () => import("./specs/infra.ts").then((m) => m.storageDeleteSpec)),
  group("volumes", "Volumes that tasks mount."),
  planned("volumes apply", "Create a volume, or register one.", () =>
    import("./specs/infra.ts").then((m) => m.volumesApplySpec),
  ),
  planned("volumes ls", "List volumes.", () => import("./specs/infra.ts").then((m) => m.volumesLsSpec)),
  planned("volumes delete", "Delete volumes.", () => import("./specs/infra.ts").then((m) => m.volumesDeleteSpec)),
  group("volume", "Volumes that tasks mount.", HIDDEN),
  planned(
    "volume apply",
    "Create a volume, or register one.",
    () => import("./specs/infra.ts").then((m) => m.volumesApplySpec),
    HIDDEN,
  ),
  planned("volume ls", "List volumes.", () => import("./specs/infra.ts").then((m) => m.volumesLsSpec), HIDDEN),
  planned(
    "volume delete",
    "Delete volumes.",
    () => import("./specs/infra.ts").then((m) => m.volumesDeleteSpec),
    HIDDEN,
  ),
  group("jobs", "Managed jobs: jobs that recover by themselves."),
  planned("jobs launch", "Launch a managed job.", () =>
    import("./specs/managed-jobs.ts").then((m) => m.jobsLaunchSpec),
  ),
  planned("jobs queue", "Show managed jobs.", () => import("./specs/managed-jobs.ts").then((m) => m.jobsQueueSpec)),
  planned("jobs cancel", "Cancel managed jobs.", () => import("./specs/managed-jobs.ts").then((m) => m.jobsCancelSpec)),
  planned("jobs logs", "Show the log of a managed job.", () =>
    import("./specs/managed-jobs.ts").then((m) => m.jobsLogsSpec),
  ),
  command(
    "jobs dashboard",
    "Open the dashboard at its jobs page.",
    () => import("./specs/managed-jobs.ts").then((m) => m.jobsDashboardSpec),
    () => import("./commands/dashboard.ts").then((m) => m.runJobsDashboard),
  ),
  group("jobs pool", "Pools of workers for managed jobs."),
  planned("jobs pool apply", "Create a pool or change one.", () =>
    import("./specs/managed-jobs.ts").then((m) => m.jobsPoolApplySpec),
  ),
  planned("jobs pool status", "Show pools.", () => import("./specs/managed-jobs.ts").then((m) => m.jobsPoolStatusSpec)),
  planned("jobs pool down", "Tear down pools.", () =>
    import("./specs/managed-jobs.ts").then((m) => m.jobsPoolDownSpec),
  ),
  planned("jobs pool logs", "Show the log of a pool's workers.", () =>
    import("./specs/managed-jobs.ts").then((m) => m.jobsPoolLogsSpec),
  ),
  command(
    "dashboard",
    "Open the dashboard.",
    () => import("./specs/api.ts").then((m) => m.dashboardSpec),
    () => import("./commands/dashboard.ts").then((m) => m.runDashboard),
  ),
  command(
    "ui",
    "Open the dashboard.",
    () => import("./specs/api.ts").then((m) => m.dashboardSpec),
    () => import("./commands/dashboard.ts").then((m) => m.runDashboard),
    HIDDEN,
  ),
  group("serve", "Services with replicas and a load balancer."),
  planned("serve up", "Launch a service.", () => import("./specs/serve.ts").then((m) => m.serveUpSpec)),
  planned("serve update", "Change a running service.", () => import("./specs/serve.ts").then((m) => m.serveUpdateSpec)),
  planned("serve status", "Show services.", () => import("./specs/serve.ts").then((m) => m.serveStatusSpec)),
  planned("serve down", "Tear down services.", () => import("./specs/serve.ts").then((m) => m.serveDownSpec)),
  planned("serve logs", "Show the log of a service.", () => import("./specs/serve.ts").then((m) => m.serveLogsSpec)),
  group("local", "A Kubernetes cluster on this machine.", HIDDEN),
  planned("local up", "Create a Kubernetes cluster on this machine.", () =>
    import("./specs/infra.ts").then((m) => m.localUpSpec),
  ),
  planned("local down", "Delete the Kubernetes cluster on this machine.", () =>
    import("./specs/infra.ts").then((m) => m.localDownSpec),
  ),
  group("api", "The API server."),
  command(
    "api start",
    "Start the API server on this machine.",
    () => import("./specs/api.ts").then((m) => m.apiStartSpec),
    () => import("./commands/api/start.ts").then((m) => m.runApiStart),
  ),
  command(
    "api stop",
    "Stop the API server on this machine.",
    () => import("./specs/api.ts").then((m) => m.apiStopSpec),
    () => import("./commands/api/stop.ts").then((m) => m.runApiStop),
  ),
  command(
    "api logs",
    "Show the log of a request.",
    () => import("./specs/api.ts").then((m) => m.apiLogsSpec),
    () => import("./commands/api/logs.ts").then((m) => m.runApiLogs),
  ),
  command(
    "api cancel",
    "Cancel requests.",
    () => import("./specs/api.ts").then((m) => m.apiCancelSpec),
    () => import("./commands/api/cancel.ts").then((m) => m.runApiCancel),
  ),
  command(
    "api status",
    "List requests.",
    () => import("./specs/api.ts").then((m) => m.apiStatusSpec),
    () => import("./commands/api/status.ts").then((m) => m.runApiStatus),
  ),
  command(
    "api login",
    "Log in to an API server.",
    () => import("./specs/api.ts").then((m) => m.apiLoginSpec),
    () => import("./commands/api/login.ts").then((m) => m.runApiLogin),
  ),
  command(
    "api logout",
    "Log out of the API server.",
    () => import("./specs/api.ts").then((m) => m.apiLogoutSpec),
    () => import("./commands/api/logout.ts").then((m) => m.runApiLogout),
  ),
  command(
    "api info",
    "Show the API server in use.",
    () => import("./specs/api.ts").then((m) => m.apiInfoSpec),
    () => import("./commands/api/info.ts").then((m) => m.runApiInfo),
  ),
  group("workspace", "Your workspace."),
  planned("workspace use", "Choose the workspace that you prefer.", () =>
    import("./specs/infra.ts").then((m) => m.workspaceUseSpec),
  ),
  planned("workspace info", "Show the workspace in use.", () =>
    import("./specs/infra.ts").then((m) => m.workspaceInfoSpec),
  ),
  group("ssh", "SSH node pools."),
  planned("ssh up", "Set up SSH node pools.", () => import("./specs/infra.ts").then((m) => m.sshUpSpec)),
  planned("ssh down", "Take down SSH node pools.", () => import("./specs/infra.ts").then((m) => m.sshDownSpec)),
  planned("debug-dump", "Collect what is needed to look into a problem.", () =>
    import("./specs/infra.ts").then((m) => m.debugDumpSpec),
  ),
];
