import { commandSpec, choice, flag, integer, variadic } from "../parser/spec.ts";
import { asyncOption, configOption, yesOption } from "./shared-options.ts";

export const stopSpec = commandSpec({
  help: "Stop clusters.\n\nDisks are kept; `sky start` brings a cluster back. Names may be globs.",
  args: { clusters: variadic("CLUSTERS", "cluster_name") },
  options: {
    config: configOption,
    all: flag("--all -a", "Stop all your clusters."),
    allUsers: flag("--all-users -u", "Include what belongs to other users."),
    yes: yesOption,
    graceful: flag("--graceful", "Wait until cached writes to buckets are uploaded."),
    gracefulTimeout: integer("--graceful-timeout", "Seconds to wait with --graceful."),
    asyncCall: asyncOption,
  },
});

export const autostopSpec = commandSpec({
  help: "Plan an autostop or autodown of clusters.\n\nA cluster is stopped (or torn down) when it had no job for the given minutes. Names may be globs.",
  args: { clusters: variadic("CLUSTERS", "cluster_name") },
  options: {
    config: configOption,
    all: flag("--all -a", "All of yours."),
    allUsers: flag("--all-users -u", "Include what belongs to other users."),
    idleMinutes: integer("--idle-minutes -i", "Idle minutes before the cluster is stopped (5 unless given)."),
    waitFor: choice(
      "--wait-for",
      ["jobs_and_ssh", "jobs", "none"],
      "What counts as activity before an autostop: jobs and SSH sessions, jobs only, or nothing.",
      { caseSensitive: true },
    ),
    cancel: flag("--cancel", "Forget the planned autostop or autodown."),
    down: flag("--down", "Tear the cluster down instead of stopping it."),
    yes: yesOption,
    asyncCall: asyncOption,
  },
});

export const startSpec = commandSpec({
  help: "Restart clusters.\n\nNames may be globs. The name may be left out when there is only one cluster.",
  args: { clusters: variadic("CLUSTERS", "cluster_name") },
  options: {
    config: configOption,
    all: flag("--all -a", "Start all your clusters."),
    yes: yesOption,
    idleMinutesToAutostop: integer(
      "--idle-minutes-to-autostop -i",
      "Stop the cluster after that many idle minutes (with --down: tear it down).",
    ),
    waitFor: choice(
      "--wait-for",
      ["jobs_and_ssh", "jobs", "none"],
      "What counts as activity before an autostop: jobs and SSH sessions, jobs only, or nothing.",
      { caseSensitive: true },
    ),
    down: flag("--down", "Tear the cluster down after the idle minutes instead of stopping it."),
    retryUntilUp: flag("--retry-until-up -r", "Try again until the cluster is up."),
    force: flag("--force -f", "Start again even when the cluster is up."),
    asyncCall: asyncOption,
  },
});

export const downSpec = commandSpec({
  help: "Tear down clusters.\n\nEverything that belongs to the clusters is deleted, disks included. Names may be globs.",
  args: { clusters: variadic("CLUSTERS", "cluster_name") },
  options: {
    config: configOption,
    all: flag("--all -a", "Tear down all your clusters."),
    allUsers: flag("--all-users -u", "Include what belongs to other users."),
    yes: yesOption,
    purge: flag("--purge -p", "Forget it here even when the infra reports an error."),
    graceful: flag("--graceful", "Wait until cached writes to buckets are uploaded."),
    gracefulTimeout: integer("--graceful-timeout", "Seconds to wait with --graceful."),
    asyncCall: asyncOption,
  },
});
