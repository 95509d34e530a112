import { z } from "zod";
import { Plan } from "./plan.ts";

/** A task-YAML `resources` map without alternatives; `infra` decides what the INFRA column shows. */
export const WireResources = z.looseObject({
  infra: z.string().optional(),
  instance_type: z.string().optional(),
  cpus: z.union([z.string(), z.number()]).optional(),
  memory: z.union([z.string(), z.number()]).optional(),
  accelerators: z.union([z.string(), z.record(z.string(), z.number())]).optional(),
  use_spot: z.boolean().optional(),
  disk_size: z.number().optional(),
});
export type WireResources = z.infer<typeof WireResources>;

/** What the official client needs of a cluster; it accepts this object in place of a pickle. */
export const WireHandle = z.object({
  cluster_name: z.string(),
  cluster_name_on_cloud: z.string(),
  cluster_yaml: z.string().nullable(),
  launched_nodes: z.int(),
  launched_resources: WireResources.nullable(),
  /** `[internal, external]` per node, head first. */
  stable_internal_external_ips: z.array(z.tuple([z.string(), z.string()])).nullable(),
  stable_ssh_ports: z.array(z.int()).nullable(),
  ssh_user: z.string().nullable(),
  docker_user: z.string().nullable(),
  is_grpc_enabled: z.boolean(),
  provision_runtime_metadata: z.record(z.string(), z.unknown()).nullable(),
});
export type WireHandle = z.infer<typeof WireHandle>;

/** SSH access of a cluster; sent only to those who may log in. */
export const WireCredentials = z.object({
  ssh_user: z.string(),
  ssh_private_key: z.string(),
  ssh_private_key_content: z.string(),
  ssh_control_name: z.string().optional(),
  ssh_proxy_command: z.string().nullable(),
  docker_user: z.string().optional(),
  disable_control_master: z.boolean().optional(),
  /** Ours: how each node is reached, by index, where that is not by one user at the handle's addresses. */
  ssh_nodes: z
    .array(z.object({ host: z.string(), port: z.int(), user: z.string(), proxy_command: z.string().nullable() }))
    .optional(),
});
export type WireCredentials = z.infer<typeof WireCredentials>;

/** Result of `launch` and `exec`. */
export const LaunchResult = z.object({
  job_id: z.int().nullable(),
  handle: WireHandle.nullable(),
  credentials: WireCredentials.optional(),
  /** Ours: whether the cluster can be stopped and started again. */
  can_stop: z.boolean().optional(),
  /** Of a dry run. */
  plan: Plan.optional(),
});
export type LaunchResult = z.infer<typeof LaunchResult>;
