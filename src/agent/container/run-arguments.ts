import { existsSync, readFileSync } from "node:fs";
import type { NodeResources } from "../../shared/agent/protocol.ts";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { ContainerEngine } from "./engine.ts";
import { IDLE } from "./scripts.ts";
import { isShared, SHARED_FOLDERS } from "./shared-folders.ts";

/** Where the agent's own files are seen inside. */
export const INSIDE = "/run/skypilot";

export interface ContainerPlan {
  readonly name: string;
  readonly image: string;
  /** As `docker run --user` takes it; absent: the image's own. */
  readonly user?: string | undefined;
  /** HOME of that user inside. */
  readonly home: string;
  /** HOME of the node, whose `sky_workdir`, `sky_logs` and `.sky/file_mounts` are mounted. */
  readonly nodeHome: string;
  /** The agent's folder of tasks. */
  readonly tasks: string;
  readonly resources: NodeResources;
  readonly runOptions: readonly string[];
}

const MAX_SHM_BYTES = 200e9;
const OPEN_FILES = 1_048_576;
const CDI_FILES = ["/etc/cdi/nvidia.yaml", "/etc/cdi/nvidia.json", "/var/run/cdi/nvidia.yaml"];

/** What `run` is given. Throws CONTAINER_FAILED when the node's GPUs cannot be passed on. */
export function runArguments(plan: ContainerPlan, engine: ContainerEngine, facts = readMachineFacts()): string[] {
  const mounts = SHARED_FOLDERS.map((folder) => {
    const source = `${plan.nodeHome}/${folder}`;
    return `${source}:${plan.home}/${folder}${facts.passesOn(source) ? ":rslave" : ""}`;
  });
  return [
    "run",
    "--detach",
    "--name",
    plan.name,
    "--label",
    "skypilot.node=1",
    // Ranks find each other by the nodes' addresses, and users reach ports as on the machine.
    "--net=host",
    // The mounted folders stay readable where SELinux or shifted user ids would hide them.
    "--security-opt",
    "label=disable",
    ...(engine.kind === "docker" && !engine.isRootless ? ["--userns=host"] : []),
    ...(facts.shmBytes === undefined ? [] : [`--shm-size=${facts.shmBytes}`]),
    // podman gives what the user has; docker gives little unless it is asked.
    ...(engine.kind === "docker" && !engine.isRootless ? ["--ulimit", `nofile=${OPEN_FILES}:${OPEN_FILES}`] : []),
    ...deviceArguments(plan.resources, engine, facts),
    ...(plan.user === undefined ? [] : ["--user", plan.user]),
    ...mounts.flatMap((mount) => ["--volume", mount]),
    "--volume",
    `${plan.tasks}:${INSIDE}/tasks:ro`,
    ...plan.runOptions,
    "--entrypoint",
    "bash",
    plan.image,
    "-c",
    IDLE,
  ];
}

export interface MachineFacts {
  /** A third of the free memory for /dev/shm, as data loaders of training jobs need. */
  readonly shmBytes: number | undefined;
  /** Whether what is mounted later in a folder of the machine can appear in a container. */
  readonly passesOn: (folder: string) => boolean;
  /** Whether podman knows the machine's NVIDIA GPUs. */
  readonly hasCdi: boolean;
  /** Device files of AMD GPUs. */
  readonly amdDevices: readonly string[];
}

function deviceArguments(resources: NodeResources, engine: ContainerEngine, facts: MachineFacts): string[] {
  const names = Object.entries(resources.accelerators).flatMap(([name, count]) => (count > 0 ? [name] : []));
  if (names.length === 0) return [];
  if (names.every((name) => /^MI\d/.test(name)) && facts.amdDevices.length > 0) {
    return [...facts.amdDevices.flatMap((path) => ["--device", path]), "--group-add", "video"];
  }
  // All of them: CUDA_VISIBLE_DEVICES counts the machine's devices, and says which are the task's.
  if (engine.kind === "docker" && engine.runtimes.includes("nvidia")) return ["--gpus", "all"];
  if (facts.hasCdi) return ["--device", "nvidia.com/gpu=all"];
  throw new AgentPeerError(
    "CONTAINER_FAILED",
    `${engine.kind} on the node cannot pass on its GPUs (${names.join(", ")}).`,
    {
      hint:
        engine.kind === "docker"
          ? "Install the NVIDIA container toolkit there: nvidia-ctk runtime configure --runtime=docker, then restart docker."
          : "Install the NVIDIA container toolkit there: nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
    },
  );
}

function readMachineFacts(): MachineFacts {
  const available = Number(/^MemAvailable:\s+(\d+) kB/m.exec(readText("/proc/meminfo"))?.[1] ?? Number.NaN);
  return {
    shmBytes: Number.isNaN(available) ? undefined : Math.floor(Math.min(available * 1024 * 0.3, MAX_SHM_BYTES)),
    passesOn: isShared,
    hasCdi: CDI_FILES.some((path) => existsSync(path)),
    amdDevices: ["/dev/kfd", "/dev/dri"].filter((path) => existsSync(path)),
  };
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // Not that kind of machine: the engine's own defaults serve.
    return "";
  }
}
