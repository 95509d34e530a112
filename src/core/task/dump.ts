/** A `Dag` as YAML in the printed order: what goes over the wire and what users see. */

import { dumpYaml } from "../../shared/yaml-dump.ts";
import { choiceToValue } from "../resources/dump.ts";
import type { Dag, PoolSpec, ServiceSpec, Task } from "./task.ts";
import { storageToValue } from "./storage.ts";

export interface DumpOptions {
  /** Inline secrets and registry passwords are shown as `<redacted>`. Never for a dump that a server has to run. */
  readonly redactSecrets?: boolean;
  /** Leave out `_user_specified_yaml` (for display). */
  readonly withoutUserText?: boolean;
}

/** The wire form: a document with the DAG's name (for a job group, its header), then one per task. */
export function dumpDag(dag: Dag, options: DumpOptions = {}): string {
  const header =
    dag.execution === "parallel"
      ? {
          name: dag.name ?? null,
          execution: "parallel",
          primary_tasks: dag.primaryTasks,
          termination_delay: dag.terminationDelay,
          inter_connection: dag.interConnection,
        }
      : { name: dag.name ?? null };
  const documents = [dumpYaml(header, { blankLines: dag.execution === "parallel" })];
  for (const task of dag.tasks) documents.push(dumpTask(task, options));
  return documents.join("---\n\n");
}

export function dumpTask(task: Task, options: DumpOptions = {}): string {
  return dumpYaml(taskToValue(task, options));
}

/** A task as plain data; absent fields are left out. */
export function taskToValue(task: Task, options: DumpOptions = {}): Record<string, unknown> {
  const value: Record<string, unknown> = {
    name: task.name,
    resources: choiceToValue(task.resources, options),
    config: task.hooks.length === 0 ? undefined : { hooks: task.hooks },
    service: task.pool === undefined ? serviceToValue(task.service) : { pool: poolToValue(task.pool) },
    num_nodes: task.numNodes,
    inputs: task.inputs && { [task.inputs.uri]: task.inputs.gigabytes },
    outputs: task.outputs && { [task.outputs.uri]: task.outputs.gigabytes },
    setup: task.setup,
    workdir: workdirToValue(task.workdir),
    event_callback: task.eventCallback,
    run: task.run,
    envs: nonEmpty(task.envs),
    ...secretsToValue(task, options.redactSecrets === true),
    file_mounts: mountsToValue(task),
    file_mounts_mapping: task.fileMountsMapping,
    volumes: task.volumes,
    volume_mounts: task.volumeMounts,
    api_server_access: task.apiServerAccess ? undefined : false,
    _metadata: nonEmpty(task.metadata),
    _user_specified_yaml: options.withoutUserText === true ? undefined : task.userSpecifiedYaml,
  };
  return present(value);
}

function present(value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined));
}

function nonEmpty<T extends object>(value: T): T | undefined {
  return Object.keys(value).length === 0 ? undefined : value;
}

function workdirToValue(workdir: Task["workdir"]): unknown {
  if (workdir === undefined) return undefined;
  return workdir.kind === "dir" ? workdir.path : present({ url: workdir.url, ref: workdir.ref });
}

function mountsToValue(task: Task): Record<string, unknown> {
  const storages = Object.entries(task.storageMounts).map(([path, spec]) => [path, present(storageToValue(spec))]);
  return { ...task.fileMounts, ...(Object.fromEntries(storages) as Record<string, unknown>) };
}

/** References alone print as a list; beside inline secrets they move to `managed_secrets`. */
function secretsToValue(task: Task, redact: boolean): Record<string, unknown> {
  const references = task.managedSecretNames.map((name) => `secrets:${name}`);
  const inline = Object.entries(task.secrets).map(([name, secret]) => [
    name,
    redact ? secret.toString() : secret.reveal(),
  ]);
  const hasInline = inline.length > 0;
  const managed = [...(hasInline ? references : []), ...task.managedSecrets];
  return {
    secrets: hasInline ? Object.fromEntries(inline) : references.length > 0 ? references : undefined,
    managed_secrets: managed.length > 0 ? managed : undefined,
  };
}

const DEFAULT_INITIAL_DELAY_SECONDS = 1200;
const DEFAULT_PROBE_TIMEOUT_SECONDS = 15;

function serviceToValue(service: ServiceSpec | undefined): Record<string, unknown> | undefined {
  if (service === undefined) return undefined;
  const probe = service.readinessProbe;
  return present({
    readiness_probe: present({
      path: probe.path,
      initial_delay_seconds: probe.initialDelaySeconds ?? DEFAULT_INITIAL_DELAY_SECONDS,
      post_data: postDataToValue(probe.postData),
      timeout_seconds: probe.timeoutSeconds ?? DEFAULT_PROBE_TIMEOUT_SECONDS,
      endpoint_probe_interval_seconds: probe.endpointProbeIntervalSeconds,
      consecutive_failure_threshold_timeout: probe.consecutiveFailureThresholdTimeout,
      headers: probe.headers,
    }),
    load_balancer:
      service.streamTimeoutSeconds === undefined ? undefined : { stream_timeout_seconds: service.streamTimeoutSeconds },
    replica_policy: present({
      min_replicas: service.minReplicas,
      max_replicas: service.maxReplicas,
      num_overprovision: service.numOverprovision,
      target_qps_per_replica: service.targetQpsPerReplica,
      dynamic_ondemand_fallback: service.dynamicOndemandFallback,
      base_ondemand_fallback_replicas: service.baseOndemandFallbackReplicas,
      spot_placer: service.spotPlacer,
      upscale_delay_seconds: service.upscaleDelaySeconds,
      downscale_delay_seconds: service.downscaleDelaySeconds,
    }),
    ports: service.ports,
    load_balancing_policy: service.loadBalancingPolicy,
    tls: service.tls,
  });
}

/** Only a map may stand for itself; other JSON is carried as text. */
function postDataToValue(data: unknown): unknown {
  if (data === undefined || (typeof data === "object" && data !== null && !Array.isArray(data))) return data;
  return JSON.stringify(data);
}

function poolToValue(pool: PoolSpec): Record<string, unknown> {
  return present({
    workers: pool.workers,
    min_workers: pool.minWorkers,
    max_workers: pool.maxWorkers,
    queue_length_threshold: pool.queueLengthThreshold,
    upscale_delay_seconds: pool.upscaleDelaySeconds,
    downscale_delay_seconds: pool.downscaleDelaySeconds,
  });
}
