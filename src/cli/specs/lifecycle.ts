import { commandSpec, flag, integer, variadic } from "../parser/spec.ts";
import {
  allOfYoursOption,
  allUsersOption,
  asyncOption,
  configOption,
  gracefulOptions,
  idleMinutesToAutostopOption,
  purgeOption,
  retryUntilUpOption,
  waitForOption,
  yesOption,
} from "./shared-options.ts";

export const stopSpec = commandSpec({
  help: "Stop clusters.\n\nDisks are kept; `sky start` brings a cluster back. Names may be globs.",
  args: { clusters: variadic("CLUSTERS", "cluster_name") },
  options: {
    config: configOption,
    all: flag("--all -a", "Stop all your clusters."),
    allUsers: allUsersOption,
    yes: yesOption,
    ...gracefulOptions,
    asyncCall: asyncOption,
  },
});

export const autostopSpec = commandSpec({
  help: "Plan an autostop or autodown of clusters.\n\nA cluster is stopped (or torn down) when it had no job for the given minutes. Names may be globs.",
  args: { clusters: variadic("CLUSTERS", "cluster_name") },
  options: {
    config: configOption,
    all: allOfYoursOption,
    allUsers: allUsersOption,
    idleMinutes: integer("--idle-minutes -i", "Idle minutes before the cluster is stopped (5 unless given)."),
    waitFor: waitForOption,
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
    idleMinutesToAutostop: idleMinutesToAutostopOption,
    waitFor: waitForOption,
    down: flag("--down", "Tear the cluster down after the idle minutes instead of stopping it."),
    retryUntilUp: retryUntilUpOption,
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
    allUsers: allUsersOption,
    yes: yesOption,
    purge: purgeOption,
    ...gracefulOptions,
    asyncCall: asyncOption,
  },
});
