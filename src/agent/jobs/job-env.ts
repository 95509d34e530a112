import type { NodeConfig } from "../../shared/agent/protocol.ts";
import type { Grant } from "./allocator.ts";
import type { JobSpec } from "./job-store.ts";

export interface JobEnvOptions {
  readonly jobId: number;
  readonly spec: JobSpec;
  /** The task's envs and secrets. */
  readonly values: Readonly<Record<string, string>>;
  readonly config: Pick<NodeConfig, "clusterName" | "clusterInfo">;
}

/** SKYPILOT_TASK_ID of a job. */
export function taskIdOf(options: JobEnvOptions): string {
  const { spec, config, jobId } = options;
  return spec.taskId ?? `${spec.runTimestamp}_${config.clusterName}_${jobId}`;
}

function commonEnv(options: JobEnvOptions): Record<string, string> {
  return {
    ...options.values,
    SKYPILOT_TASK_ID: taskIdOf(options),
    SKYPILOT_CLUSTER_INFO: options.config.clusterInfo,
    SKYPILOT_USER: options.spec.userName,
    SKYPILOT_NUM_NODES: String(options.spec.numNodes),
  };
}

/** Environment of the setup script on a node. `nodeIps`: of all nodes of the cluster. */
export function setupEnv(
  options: JobEnvOptions,
  node: { readonly index: number; readonly nodeIps: readonly string[] },
): Record<string, string> {
  return {
    ...commonEnv(options),
    SKYPILOT_SETUP_NODE_RANK: String(node.index),
    SKYPILOT_SETUP_NODE_IPS: node.nodeIps.join("\n"),
    SKYPILOT_SETUP_NUM_GPUS_PER_NODE: String(gpuCount(options.spec)),
  };
}

export interface RankPlace {
  readonly rank: number;
  /** Of the job's nodes, in rank order. */
  readonly nodeIps: readonly string[];
  readonly grant: Grant;
  /** Index on the machine of each of the node's devices; absent = the same. */
  readonly deviceIndices?: readonly number[] | undefined;
}

/** Environment of a rank's run script. */
export function runEnv(options: JobEnvOptions, place: RankPlace): Record<string, string> {
  const devices = Object.values(place.grant.devices).flatMap((shares) => shares.map((share) => share.index));
  return {
    ...commonEnv(options),
    SKYPILOT_NODE_RANK: String(place.rank),
    SKYPILOT_NODE_IPS: place.nodeIps.join("\n"),
    SKYPILOT_NUM_GPUS_PER_NODE: String(gpuCount(options.spec)),
    SKYPILOT_INTERNAL_JOB_ID: String(options.jobId),
    CUDA_VISIBLE_DEVICES: devices.map((index) => place.deviceIndices?.[index] ?? index).join(","),
  };
}

function gpuCount(spec: JobSpec): number {
  return Math.ceil(Object.values(spec.demand.accelerators).reduce((sum, count) => sum + count, 0));
}
