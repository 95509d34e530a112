import {
  assignments,
  choice,
  choiceOr,
  directory,
  file,
  flag,
  flagOn,
  integer,
  text,
  texts,
  triFlag,
} from "../parser/spec.ts";

export const configOption = texts(
  "--config",
  "Config file, or one key=value pair with a dotted key. Repeat it for several pairs, e.g. --config a.b=1 --config a.c=x.",
);

export const asyncOption = flag("--async / --no-async", "Return as soon as the request is sent.");

export const yesOption = flag("--yes -y", "Do not ask.");

/** In lists; `-a` is what SkyPilot called it before. */
export const wholeListOption = flag("--verbose -v --all -a", "Show everything.");
export const verboseOption = flag("--verbose -v", "Show everything.");

export const outputOption = choiceOr("--output -o", ["table", "json"], "Print a table, or JSON for programs.", "table");

export const allUsersOption = flag("--all-users -u", "Include what belongs to other users.");

export const allOfYoursOption = flag("--all -a", "All of yours.");

export const purgeOption = flag("--purge -p", "Forget it here even when the infra reports an error.");

export const refreshOption = flag("--refresh -r", "Ask the infra for the present state first.");

export const retryUntilUpOption = flag("--retry-until-up -r", "Try again until the cluster is up.");

export const detachRunOption = flag("--detach-run -d", "Return as soon as the job is submitted, without its log.");

export const workspaceOption = text("--workspace -w", "Workspace to work in.");

export const poolOption = text("--pool -p", "Pool to work with.");

export const modeOption = choiceOr("--mode", ["rolling", "blue_green"], "How to replace what runs now.", "rolling");

export const waitForOption = choice(
  "--wait-for",
  ["jobs_and_ssh", "jobs", "none"],
  "What counts as activity before an autostop: jobs and SSH sessions, jobs only, or nothing.",
  { caseSensitive: true },
);

export const idleMinutesToAutostopOption = integer(
  "--idle-minutes-to-autostop -i",
  "Stop the cluster after that many idle minutes (with --down: tear it down).",
);

/** The infra by its parts, as older scripts name it. */
export const placeOptions = {
  cloud: text("--cloud", "Cloud to use.", { hidden: true }),
  region: text("--region", "Region to use.", { hidden: true }),
};

export const gracefulOptions = {
  graceful: flag("--graceful", "Wait until cached writes to buckets are uploaded, however long it takes."),
  gracefulTimeout: integer("--graceful-timeout", "Wait for so many seconds at most; 0 does not wait.", {
    min: 0,
  }),
};

export const gitOptions = {
  gitUrl: text("--git-url", "Git repository that becomes the working directory."),
  gitRef: text("--git-ref", "Branch, tag or commit of --git-url."),
};

export const followOption = flagOn("--follow / --no-follow", "Keep printing while the job runs.");

export const controllerOption = flag("--controller", "The controller's log instead of the job's.");

export const syncDownOption = flag("--sync-down -s", "Download the logs instead of printing them.");

/** Options that set or override the resources of a task. */
export const resourceOptions = {
  workdir: directory("--workdir", "Directory whose contents become the working directory of the job on every node."),
  infra: text(
    "--infra",
    "Where to run: CLOUD[/REGION[/ZONE]], k8s[/CONTEXT], ssh/POOL or local. Overrides `infra` of the YAML.",
  ),
  ...placeOptions,
  zone: text("--zone", "Zone to use.", { hidden: true }),
  numNodes: integer("--num-nodes", "How many nodes the task runs on. Overrides `num_nodes` of the YAML."),
  cpus: text("--cpus", "vCPUs of each node: 4 (exactly) or 4+ (at least)."),
  memory: text("--memory", "Memory of each node in GB: 16 (exactly) or 16+ (at least)."),
  diskSize: integer("--disk-size", "Size of the OS disk in GB."),
  diskTier: choice("--disk-tier", ["low", "medium", "high", "ultra", "best", "none"], "Speed class of the OS disk."),
  networkTier: choice("--network-tier", ["standard", "best"], "Speed class of the network."),
  useSpot: triFlag(
    "--use-spot / --no-use-spot",
    "Ask for spot instances (or, with --no-use-spot, for on-demand ones).",
  ),
  imageId: text("--image-id", "Machine image, or docker:IMAGE to run in a container."),
  envFile: file("--env-file", "File of KEY=VALUE lines that are set for the task. --env wins over it."),
  env: assignments(
    "--env",
    "Environment variable of the task; without a value it is taken from this shell. May be repeated.",
  ),
  secretFile: file("--secret-file", "File of KEY=VALUE lines that are set as secrets. --secret wins over it."),
  secret: assignments("--secret", "Like --env, but never shown. May be repeated."),
  localDisk: text("--local-disk", "Disk that is part of the machine: MODE[:SIZE[+]], e.g. nvme:1000+."),
  gpus: text("--gpus", "Accelerators of each node, e.g. A100:8, T4 or V100:0.5."),
  instanceType: text("--instance-type -t", "Instance type, as the cloud calls it."),
  ports: texts("--ports", "Port or port range to open. May be repeated."),
};

export const taskOptions = {
  name: text("--name -n", "Name of the task; overrides the one in the YAML."),
  ...resourceOptions,
};
