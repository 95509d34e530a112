import { commandSpec, flag, optionalArgument, text, variadic } from "../parser/spec.ts";
import {
  asyncOption,
  configOption,
  detachRunOption,
  gitOptions,
  idleMinutesToAutostopOption,
  retryUntilUpOption,
  taskOptions,
  waitForOption,
  workspaceOption,
  yesOption,
} from "./shared-options.ts";

export const launchSpec = commandSpec({
  help: "Launch a cluster or run a task on one.\n\nENTRYPOINT is a task YAML, or a command to run. Without it the cluster is only brought up. With -c an existing cluster is reused and a stopped one is restarted.\n\nThe job's log is streamed; Ctrl-C leaves the job running. The exit code is the job's: 0, 100 (failed), 101 (not finished), 102 (not found), 103 (cancelled).",
  args: { entrypoint: variadic("ENTRYPOINT", "file_name") },
  options: {
    config: configOption,
    cluster: text("--cluster -c", "Cluster to use or to create. Without it a new cluster gets a name of its own.", {
      completion: "cluster_name",
    }),
    dryrun: flag("--dryrun", "Show what would be done, provision nothing."),
    explain: flag("--explain", "With --dryrun: show every candidate with its price, and why others were dropped."),
    detachRun: flag("--detach-run -d / -no-d", "Return as soon as the job is submitted, without its log."),
    backendName: flag("--docker", "Run in a local container.", { hidden: true }),
    ...taskOptions,
    priority: text("--priority", "Priority of the job where the infra knows priorities."),
    asyncCall: asyncOption,
    idleMinutesToAutostop: idleMinutesToAutostopOption,
    waitFor: waitForOption,
    down: flag("--down", "Tear the cluster down when its jobs are finished, or after the idle minutes of -i."),
    retryUntilUp: retryUntilUpOption,
    yes: yesOption,
    noSetup: flag("--no-setup", "Skip the setup commands."),
    cloneDiskFrom: text("--clone-disk-from --clone", "Make the disk a copy of that cluster's.", {
      completion: "cluster_name",
    }),
    fast: flag("--fast", "Skip provisioning and setup when the cluster is up and its config is the same."),
    resize: flag("--resize", "Change the number of nodes of an existing cluster."),
    ...gitOptions,
    workspace: workspaceOption,
  },
  passThrough: () => 0,
});

export const execSpec = commandSpec({
  help: "Run a task or a command on an existing cluster.\n\nQueues a job on CLUSTER: the working directory is synced, nothing is provisioned and setup does not run. ENTRYPOINT is a task YAML or a command; what follows the first word of a command is passed on untouched:\n\n  sky exec mycluster python train.py --lr 0.1\n  sky exec mycluster task.yaml -d",
  args: { cluster: optionalArgument("CLUSTER", "cluster_name"), entrypoint: variadic("ENTRYPOINT", "file_name") },
  options: {
    config: configOption,
    clusterOption: text("--cluster -c", "Name of the cluster, instead of the first argument.", {
      hidden: true,
      completion: "cluster_name",
    }),
    detachRun: detachRunOption,
    ...taskOptions,
    asyncCall: asyncOption,
    ...gitOptions,
  },
  passThrough: (options) => (options["clusterOption"] === undefined ? 1 : 0),
});
