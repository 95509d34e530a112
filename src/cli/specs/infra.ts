import {
  argument,
  choice,
  commandSpec,
  flag,
  flagOn,
  float,
  integer,
  integers,
  optionalArgument,
  optionalInteger,
  text,
  texts,
  triFlag,
  variadic,
} from "../parser/spec.ts";
import {
  allOfYoursOption,
  asyncOption,
  configOption,
  outputOption,
  placeOptions,
  purgeOption,
  refreshOption,
  verboseOption,
  wholeListOption,
  yesOption,
} from "./shared-options.ts";

export const statusKubernetesSpec = commandSpec({
  help: "Show what SkyPilot runs in the Kubernetes cluster.",
  args: {},
  options: {
    config: configOption,
    verbose: verboseOption,
  },
});

export const sshProxySpec = commandSpec({
  help: "Carry an SSH connection to a node through the API server, on standard input and output. ~/.ssh/config names it as ProxyCommand.",
  args: { cluster: argument("CLUSTER"), node: optionalInteger("NODE") },
  options: { endpoint: text("--endpoint -e", "URL of the API server that has the cluster.") },
});

const hiddenAsyncOption = flag("--async", "Return as soon as the request is sent.", { hidden: true });

const acceleratorOptions = {
  config: configOption,
  all: flag("--all -a", "Show every accelerator, with prices."),
  infra: text("--infra", "Only that infra."),
  ...placeOptions,
  allRegions: flag("--all-regions", "List every region, not only the cheapest."),
  verbose: verboseOption,
};

export const showGpusSpec = commandSpec({
  help: "Show the accelerators on offer.",
  args: { acceleratorStr: optionalArgument("ACCELERATOR_STR") },
  options: acceleratorOptions,
});

export const gpusListSpec = commandSpec({
  help: "Show the accelerators on offer.\n\nACCELERATOR_STR is NAME[:COUNT]; with it prices and instance types are listed.",
  args: { acceleratorStr: optionalArgument("ACCELERATOR_STR") },
  options: {
    ...acceleratorOptions,
    outputFormat: outputOption,
  },
});

export const gpusLabelSpec = commandSpec({
  help: "Label the GPU nodes of a Kubernetes cluster.",
  args: {},
  options: {
    config: configOption,
    context: text("--context -c", "Kubernetes context."),
    cleanup: flag("--cleanup", "Remove what labelling left behind."),
    asyncMode: flag("--async", "Return as soon as the request is sent."),
  },
});

export const storageLsSpec = commandSpec({
  help: "List storage.",
  args: {},
  options: {
    config: configOption,
    verbose: wholeListOption,
    outputFormat: outputOption,
  },
});

export const storageDeleteSpec = commandSpec({
  help: "Delete storage.",
  args: { names: variadic("NAMES", "storage_name") },
  options: {
    config: configOption,
    all: flag("--all -a", "Delete all storage objects."),
    force: flag("--force", "Delete also what clusters have mounted, or a launch is about to use."),
    yes: yesOption,
    asyncCall: asyncOption,
  },
});

export const volumesApplySpec = commandSpec({
  help: "Create a volume, or register one.",
  args: { entrypoint: variadic("ENTRYPOINT", "file_name") },
  options: {
    config: configOption,
    name: text("--name -n", "Name of the volume."),
    infra: text("--infra", "Where the volume lives."),
    type: choice("--type", ["k8s-pvc", "k8s-hostpath", "runpod-network-volume"], "Kind of volume.", {
      caseSensitive: true,
    }),
    size: text("--size", "Size, e.g. 100Gi."),
    useExisting: triFlag("--use-existing / --no-use-existing", "Take over a volume that exists."),
    yes: yesOption,
    asyncCall: asyncOption,
  },
});

export const volumesLsSpec = commandSpec({
  help: "List volumes.",
  args: { names: variadic("NAMES", "volume_name") },
  options: {
    config: configOption,
    verbose: verboseOption,
    refresh: refreshOption,
    outputFormat: outputOption,
  },
});

export const volumesDeleteSpec = commandSpec({
  help: "Delete volumes.",
  args: { names: variadic("NAMES", "volume_name") },
  options: {
    config: configOption,
    all: allOfYoursOption,
    purge: purgeOption,
    yes: yesOption,
    asyncCall: asyncOption,
  },
});

export const localUpSpec = commandSpec({
  help: "Create a Kubernetes cluster on this machine.",
  args: {},
  options: {
    config: configOption,
    asyncCall: asyncOption,
    numNodes: integer("--num-nodes", "Number of nodes.", { min: 1 }),
    portStart: integer("--port-start", "First of the hundred ports to use."),
    name: text("--name", "Name of the local Kubernetes cluster."),
    gpus: flagOn("--gpus / --no-gpus", "Whether to set the cluster up for GPUs."),
  },
});

export const localDownSpec = commandSpec({
  help: "Delete the Kubernetes cluster on this machine.",
  args: {},
  options: {
    config: configOption,
    asyncCall: asyncOption,
    name: text("--name", "Name of the local Kubernetes cluster."),
  },
});

export const workspaceUseSpec = commandSpec({
  help: "Choose the workspace that you prefer.",
  args: { name: optionalArgument("NAME") },
  options: {
    clear: flag("--clear", "Go back to having no preferred workspace."),
    config: configOption,
  },
});

export const workspaceInfoSpec = commandSpec({
  help: "Show the workspace in use.",
  args: {},
  options: {
    config: configOption,
    outputFormat: outputOption,
  },
});

export const sshUpSpec = commandSpec({
  help:
    "Set up the machines of ~/.sky/ssh_node_pools.yaml, so that `--infra ssh/POOL` can be used.\n\n" +
    "Checks that each host answers, puts the runtime in place and shows what the host has. Hosts that are set up cost nothing.",
  args: {},
  options: {
    infra: text("--infra", "Only that pool."),
    asyncCall: hiddenAsyncOption,
    file: text("--file -f", "Add the pools of this file to those of the API server first."),
  },
});

export const sshDownSpec = commandSpec({
  help: "Remove everything that `sky ssh up` and clusters have put on the machines of SSH node pools.",
  args: {},
  options: {
    infra: text("--infra", "Only that pool."),
    asyncCall: hiddenAsyncOption,
  },
});

export const debugDumpSpec = commandSpec({
  help: "Collect what is needed to look into a problem.",
  args: {},
  options: {
    requestIds: texts("--request-ids -r", "Requests to include."),
    clusterNames: texts("--cluster-names -c", "Clusters to include."),
    jobIds: integers("--job-ids -j", "Managed jobs to include."),
    recentMinutes: float("--recent-minutes", "Include everything of the last minutes."),
    output: text("--output", "File to write."),
    asyncCall: hiddenAsyncOption,
  },
});
