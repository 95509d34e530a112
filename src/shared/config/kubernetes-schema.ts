/** The sections `kubernetes` and `ssh`, which share most of their keys. */

import type { Schema } from "./json-schema.ts";
import type { SchemaSide } from "./config-schema.ts";
import { DURATION_PATTERN } from "./resources-schema.ts";
import {
  atLeast,
  BOOLEAN,
  either,
  INTEGER,
  listOf,
  mapOf,
  object,
  OPEN,
  openObject,
  pattern,
  STRING,
  STRING_MAP,
  STRINGS,
  word,
} from "./schema-parts.ts";

const KUEUE = object({ local_queue_name: STRING, admission_timeout: INTEGER });

const QUOTA = openObject({ queue: STRING });

const CUSTOM_METADATA: Schema = {
  type: "object",
  required: [],
  // The server names its objects itself.
  not: { anyOf: [{ required: ["name"] }, { required: ["namespace"] }] },
};

const PRICING = object({
  cpu: atLeast(0, "number"),
  memory: atLeast(0, "number"),
  accelerators: mapOf(atLeast(0, "number")),
});

const AUTO_MOUNT = object(
  {
    volume_name: STRING,
    mount_paths: listOf(pattern("^(/|~/|~$)")),
    scope: { type: "string", enum: ["personal", "workspace", "global"] },
  },
  ["volume_name", "mount_paths"],
);

const DOCKER_MODE: Schema = { type: "string", enum: ["ALL", "BUILD"] };

const ENABLE_DOCKER = either(BOOLEAN, DOCKER_MODE, object({ mode: DOCKER_MODE, cache_volume: STRING }, ["mode"]));

const POD_IDENTITY = either(STRING, { type: "object", required: [], additionalProperties: STRING });

const LIMITS = either(BOOLEAN, atLeast(1, "number"));

const DWS = object({ enabled: BOOLEAN, max_run_duration: either(pattern(DURATION_PATTERN), INTEGER) });

/** Keys of the section that a context may override, too. */
const CONTEXT_KEYS: Readonly<Record<string, Schema>> = {
  allowed_nodes: object({ label_selector: STRING_MAP, names: STRINGS, ips: STRINGS }),
  rdma: object({ mode: word("sriov"), resource: STRING, networks: STRING }),
  networking: word("nodeport", "portforward"),
  ports: word("ingress", "loadbalancer", "podip"),
  pod_config: OPEN,
  provision_timeout: INTEGER,
  max_inline_command_length: atLeast(1024),
  custom_metadata: CUSTOM_METADATA,
  namespace: STRING,
  autoscaler: word("gke", "karpenter", "coreweave", "nebius", "generic"),
  high_availability: object({ storage_class_name: STRING }),
  kueue: KUEUE,
  quota: QUOTA,
  dws: DWS,
  remote_identity: POD_IDENTITY,
  post_provision_runcmd: STRINGS,
  apt_mirrors: listOf(pattern("^[a-zA-Z0-9.-]+$")),
  set_pod_resource_limits: LIMITS,
  pricing: PRICING,
  auto_mounts: listOf(AUTO_MOUNT),
  enable_docker: ENABLE_DOCKER,
};

function maybeOpen(side: SchemaSide, properties: Readonly<Record<string, Schema>>): Schema {
  return side === "client" ? openObject(properties) : object(properties);
}

const ALLOWED_CONTEXTS = either(STRINGS, { type: "string", pattern: "^all$" });

export function kubernetesSchema(side: SchemaSide): Schema {
  return maybeOpen(side, {
    allowed_contexts: ALLOWED_CONTEXTS,
    context_configs: mapOf(maybeOpen(side, CONTEXT_KEYS)),
    ...CONTEXT_KEYS,
  });
}

const SSH_KEYS: Readonly<Record<string, Schema>> = {
  pod_config: OPEN,
  provision_timeout: INTEGER,
  max_inline_command_length: atLeast(1024),
  custom_metadata: CUSTOM_METADATA,
  remote_identity: word("LOCAL_CREDENTIALS", "SERVICE_ACCOUNT", "NO_UPLOAD"),
};

export function sshSchema(): Schema {
  return object({ allowed_node_pools: STRINGS, context_configs: mapOf(object(SSH_KEYS)), ...SSH_KEYS });
}

export function workspaceKubernetesSchema(side: SchemaSide): Schema {
  const keys = { namespace: STRING, kueue: KUEUE, quota: QUOTA, remote_identity: POD_IDENTITY };
  return maybeOpen(side, {
    disabled: BOOLEAN,
    allowed_contexts: ALLOWED_CONTEXTS,
    ...keys,
    context_configs: mapOf(maybeOpen(side, keys)),
  });
}

/** The keys of `kubernetes` that a task may override. */
export const KUBERNETES_TASK_KEYS: Readonly<Record<string, Schema>> = {
  custom_metadata: CUSTOM_METADATA,
  pod_config: OPEN,
  provision_timeout: INTEGER,
  dws: DWS,
  kueue: KUEUE,
  quota: QUOTA,
  remote_identity: POD_IDENTITY,
  enable_docker: ENABLE_DOCKER,
  set_pod_resource_limits: LIMITS,
};

/** The keys of `ssh` that a task may override. */
export const SSH_TASK_KEYS: Readonly<Record<string, Schema>> = {
  custom_metadata: CUSTOM_METADATA,
  pod_config: OPEN,
  provision_timeout: INTEGER,
};
