/** The `service` block: a served endpoint and its replicas. */

import { checkSchema } from "../../shared/config/schema-report.ts";
import type { Schema } from "../../shared/config/json-schema.ts";
import {
  atLeast,
  BOOLEAN,
  either,
  INTEGER,
  NUMBER,
  object,
  OPEN,
  STRING,
  STRING_MAP,
  word,
} from "../../shared/config/schema-parts.ts";
import { located, type Origin } from "../../shared/config/value-error.ts";
import { InvalidValueError } from "../../shared/errors.ts";
import { child, isString, plainOf, withoutNulls, type YamlMapping, type YamlNode } from "../../shared/yaml-node.ts";
import type { ReadinessProbe, ServiceSpec } from "./task.ts";

const POLICIES = ["round_robin", "least_load", "instance_aware_least_load"];
const INSTANCE_AWARE = "instance_aware_least_load";

const PROBE: Schema = either(
  STRING,
  object(
    {
      path: STRING,
      initial_delay_seconds: NUMBER,
      timeout_seconds: NUMBER,
      endpoint_probe_interval_seconds: NUMBER,
      consecutive_failure_threshold_timeout: NUMBER,
      post_data: either(STRING, OPEN),
      headers: STRING_MAP,
    },
    ["path"],
  ),
);

const QPS: Schema = either(atLeast(0, "number"), {
  type: "object",
  patternProperties: { "^[A-Z0-9]+(?::[0-9]+)?$": atLeast(0, "number") },
  additionalProperties: false,
});

const REPLICA_POLICY: Schema = object(
  {
    min_replicas: atLeast(0),
    max_replicas: atLeast(0),
    num_overprovision: atLeast(0),
    target_qps_per_replica: QPS,
    dynamic_ondemand_fallback: BOOLEAN,
    base_ondemand_fallback_replicas: atLeast(0),
    spot_placer: word("dynamic_fallback"),
    upscale_delay_seconds: NUMBER,
    downscale_delay_seconds: NUMBER,
  },
  ["min_replicas"],
);

export const POOL_SCHEMA: Schema = object({
  workers: atLeast(0),
  min_workers: atLeast(0),
  max_workers: atLeast(0),
  queue_length_threshold: atLeast(1),
  upscale_delay_seconds: NUMBER,
  downscale_delay_seconds: NUMBER,
});

export function serviceSchema(): Schema {
  return object({
    readiness_probe: PROBE,
    load_balancer: object({ stream_timeout_seconds: NUMBER }),
    pool: POOL_SCHEMA,
    replica_policy: REPLICA_POLICY,
    ports: INTEGER,
    replicas: atLeast(0),
    workers: atLeast(0),
    load_balancing_policy: word(...POLICIES),
    tls: object({ keyfile: STRING, certfile: STRING }, ["keyfile", "certfile"]),
  });
}

export const SERVICE_PREFIX = "Invalid service YAML: ";

/** @throws InvalidConfigError, InvalidValueError */
export function parseService(node: YamlMapping, file?: string): ServiceSpec {
  const block = withoutNulls(node);
  checkSchema(block, serviceSchema(), { prefix: SERVICE_PREFIX, file, at: ["service"] });
  const origin = (key: string): Origin => ({ file, node: child(block, key) ?? node, path: ["service", key] });
  const readinessProbe = located(origin("readiness_probe"), () => parseProbe(child(block, "readiness_probe")));
  const replicas = replicasOf(block, origin("replicas"));
  const balancing = child(block, "load_balancing_policy");
  const policy = isString(balancing) ? balancing.value : undefined;
  const spec: ServiceSpec = {
    readinessProbe,
    ...replicas,
    ports: numberOf(block, "ports"),
    loadBalancingPolicy: policy,
    streamTimeoutSeconds: numberOf(child(block, "load_balancer"), "stream_timeout_seconds"),
    tls: child(block, "tls") === undefined ? undefined : (plainOf(child(block, "tls") ?? node) as ServiceSpec["tls"]),
  };
  located({ file, node, path: ["service"] }, () => checkService(spec));
  return Object.freeze(spec);
}

function numberOf(node: YamlNode | undefined, key: string): number | undefined {
  const value = child(node, key);
  return value === undefined ? undefined : Number(plainOf(value));
}

function parseProbe(node: YamlNode | undefined): ReadinessProbe {
  if (node === undefined) return { path: "/" };
  if (isString(node)) return { path: checkPath(node.value) };
  const path = child(node, "path");
  const headers = child(node, "headers");
  const postData = child(node, "post_data");
  return {
    path: checkPath(isString(path) ? path.value : "/"),
    initialDelaySeconds: numberOf(node, "initial_delay_seconds"),
    timeoutSeconds: numberOf(node, "timeout_seconds"),
    endpointProbeIntervalSeconds: numberOf(node, "endpoint_probe_interval_seconds"),
    consecutiveFailureThresholdTimeout: numberOf(node, "consecutive_failure_threshold_timeout"),
    postData: postData === undefined ? undefined : parsePostData(postData),
    headers: headers === undefined ? undefined : (plainOf(headers) as Readonly<Record<string, string>>),
  };
}

function checkPath(path: string): string {
  if (!path.startsWith("/")) throw new InvalidValueError(`readiness_path must start with a slash (/). Got: ${path}`);
  return path;
}

function parsePostData(node: YamlNode): unknown {
  if (!isString(node)) return plainOf(node);
  try {
    return JSON.parse(node.value) as unknown;
  } catch (error) {
    throw new InvalidValueError(
      "Invalid JSON string for `post_data` in the `readiness_probe` section of your service YAML.",
      { cause: error },
    );
  }
}

type Replicas = Omit<ServiceSpec, "readinessProbe" | "ports" | "loadBalancingPolicy" | "streamTimeoutSeconds" | "tls">;

function replicasOf(block: YamlMapping, origin: Origin): Replicas {
  const policy = child(block, "replica_policy");
  const replicas = numberOf(block, "replicas");
  const workers = numberOf(block, "workers");
  return located(origin, () => {
    if (replicas !== undefined && workers !== undefined)
      throw new InvalidValueError("Cannot specify both `replicas` and `workers`. Please use one of them.");
    const fixed = replicas ?? workers;
    if (policy === undefined) return { minReplicas: fixed ?? 1 };
    if (fixed !== undefined)
      throw new InvalidValueError(
        "Cannot specify both `replicas` and `replica_policy` in the service YAML. Please use one of them.",
      );
    return policyOf(policy);
  });
}

function policyOf(node: YamlNode): Replicas {
  const value = plainOf(node) as Readonly<Record<string, unknown>>;
  return {
    minReplicas: Number(value["min_replicas"]),
    maxReplicas: numberOf(node, "max_replicas"),
    numOverprovision: numberOf(node, "num_overprovision"),
    targetQpsPerReplica: value["target_qps_per_replica"] as ServiceSpec["targetQpsPerReplica"],
    dynamicOndemandFallback: value["dynamic_ondemand_fallback"] as boolean | undefined,
    baseOndemandFallbackReplicas: numberOf(node, "base_ondemand_fallback_replicas"),
    spotPlacer: value["spot_placer"] as string | undefined,
    upscaleDelaySeconds: numberOf(node, "upscale_delay_seconds"),
    downscaleDelaySeconds: numberOf(node, "downscale_delay_seconds"),
  };
}

function checkService(spec: ServiceSpec): void {
  const { minReplicas: min, maxReplicas: max, targetQpsPerReplica: qps, loadBalancingPolicy: policy, ports } = spec;
  checkReplicaRange(min, max);
  if (qps === undefined && max !== undefined && max !== min)
    throw new InvalidValueError(
      "Detected different min_replicas and max_replicas while target_qps_per_replica is not set. To enable autoscaling, please set target_qps_per_replica.",
    );
  if (qps !== undefined && max === undefined)
    throw new InvalidValueError("max_replicas must be set where target_qps_per_replica is set.");
  if (ports !== undefined && (ports < 1 || ports > 65_535))
    throw new InvalidValueError("Port must be between 1 and 65535.");
  if (policy !== undefined && !POLICIES.includes(policy))
    throw new InvalidValueError(
      `Unknown load balancing policy: ${policy}. Available policies: ['round_robin', 'least_load', 'instance_aware_least_load']`,
    );
  if (typeof qps === "object" && policy !== INSTANCE_AWARE)
    throw new InvalidValueError(
      'When using dict type target_qps_per_replica, load_balancing_policy must be "instance_aware_least_load".',
    );
  if (policy === INSTANCE_AWARE && typeof qps !== "object")
    throw new InvalidValueError(
      'When using "instance_aware_least_load" policy, target_qps_per_replica must be a dict mapping GPU types to QPS values.',
    );
}

/** @throws InvalidValueError */
export function checkReplicaRange(min: number, max: number | undefined): void {
  if (max !== undefined && max < min)
    throw new InvalidValueError(
      `max_replicas must be greater than or equal to min_replicas. Found: min_replicas=${min}, max_replicas=${max}`,
    );
}
