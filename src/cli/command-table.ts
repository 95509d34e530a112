import { command, group, HIDDEN, planned, type CommandEntry } from "./command-entry.ts";
import { furtherCommands } from "./further-commands.ts";

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
  group("budget", "Budgets: what may be spent, and what happens then."),
  command(
    "budget set",
    "Make or change a budget.",
    () => import("./specs/budget.ts").then((m) => m.budgetSetSpec),
    () => import("./commands/budget.ts").then((m) => m.runBudgetSet),
  ),
  command(
    "budget ls",
    "Show budgets and what is spent of them.",
    () => import("./specs/budget.ts").then((m) => m.budgetLsSpec),
    () => import("./commands/budget.ts").then((m) => m.runBudgetLs),
  ),
  command(
    "budget delete",
    "Delete budgets.",
    () => import("./specs/budget.ts").then((m) => m.budgetDeleteSpec),
    () => import("./commands/budget.ts").then((m) => m.runBudgetDelete),
  ),
  command(
    "orphans",
    "Show clusters on the clouds that the server does not know.",
    () => import("./specs/clusters.ts").then((m) => m.orphansSpec),
    () => import("./commands/orphans.ts").then((m) => m.runOrphans),
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
    "aws ssm-proxy",
    "Carry an SSH connection to a node through Session Manager.",
    () => import("./specs/aws-ssm.ts").then((m) => m.awsSsmProxySpec),
    () => import("./commands/aws/ssm-proxy.ts").then((m) => m.runAwsSsmProxy),
    HIDDEN,
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
  ...furtherCommands,
];
