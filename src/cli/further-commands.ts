import { command, group, HIDDEN, planned, type CommandEntry } from "./command-entry.ts";

/** The commands that stand after those of clusters in the help text: accelerators, storage, jobs, services, accounts, the API server. */
export const furtherCommands: readonly CommandEntry[] = [
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
  group("catalog", "Price lists: which are in use, and making them new."),
  command(
    "catalog info",
    "Show which price lists are in use.",
    () => import("./specs/catalog.ts").then((m) => m.catalogInfoSpec),
    () => import("./commands/catalog.ts").then((m) => m.runCatalogInfo),
  ),
  command(
    "catalog update",
    "Make price lists new.",
    () => import("./specs/catalog.ts").then((m) => m.catalogUpdateSpec),
    () => import("./commands/catalog.ts").then((m) => m.runCatalogUpdate),
  ),
  group("storage", "Buckets that tasks use."),
  command(
    "storage ls",
    "List storage.",
    () => import("./specs/infra.ts").then((m) => m.storageLsSpec),
    () => import("./commands/storage.ts").then((m) => m.runStorageLs),
  ),
  command(
    "storage delete",
    "Delete storage.",
    () => import("./specs/infra.ts").then((m) => m.storageDeleteSpec),
    () => import("./commands/storage.ts").then((m) => m.runStorageDelete),
  ),
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
  command(
    "ssh-proxy",
    "Carry an SSH connection to a node through the API server.",
    () => import("./specs/infra.ts").then((m) => m.sshProxySpec),
    () => import("./commands/ssh-proxy.ts").then((m) => m.runSshProxy),
    HIDDEN,
  ),
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
  command(
    "ssh up",
    "Set up SSH node pools.",
    () => import("./specs/infra.ts").then((m) => m.sshUpSpec),
    () => import("./commands/ssh.ts").then((m) => m.runSshUp),
  ),
  command(
    "ssh down",
    "Remove what was set up on SSH node pools.",
    () => import("./specs/infra.ts").then((m) => m.sshDownSpec),
    () => import("./commands/ssh.ts").then((m) => m.runSshDown),
  ),
  planned("debug-dump", "Collect what is needed to look into a problem.", () =>
    import("./specs/infra.ts").then((m) => m.debugDumpSpec),
  ),
];
