import type { SchemaSide } from "./config-schema.ts";
import type { Schema } from "./json-schema.ts";
import {
  atLeast,
  BOOLEAN,
  either,
  INTEGER,
  mapOf,
  NULL,
  NUMBER,
  object,
  openObject,
  STRING,
  STRING_MAP,
  STRINGS,
  word,
} from "./schema-parts.ts";

const PRICING = object({
  cpu: atLeast(0, "number"),
  memory: atLeast(0, "number"),
  accelerators: mapOf(atLeast(0, "number")),
});

const HOST_MOUNT = object({ host_path: STRING, mode: word("ro", "rw") }, ["host_path"]);

const SCALAR = either(STRING, NUMBER, BOOLEAN, NULL);

const SBATCH_OPTIONS = mapOf(SCALAR);

const QUOTA = openObject({ queue: STRING, account: STRING });

const PARTITION = object({ pricing: PRICING, sbatch_options: SBATCH_OPTIONS, quota: QUOTA });

const CLUSTER_KEYS: Readonly<Record<string, Schema>> = {
  provision_timeout: INTEGER,
  pricing: PRICING,
  sbatch_options: SBATCH_OPTIONS,
  quota: QUOTA,
  gpu_partition_map: mapOf(either(STRING, STRINGS)),
  cpu_partition: STRING,
  container_mounts: mapOf(either(STRING, HOST_MOUNT)),
};

function maybeOpen(side: SchemaSide, properties: Readonly<Record<string, Schema>>): Schema {
  return side === "client" ? openObject(properties) : object(properties);
}

export function slurmSchema(side: SchemaSide): Schema {
  return maybeOpen(side, {
    allowed_clusters: either(STRINGS, { type: "string", pattern: "^all$" }),
    submit_as_user: BOOLEAN,
    username_map: STRING_MAP,
    remote_identity: word("LOCAL_CREDENTIALS", "SERVICE_ACCOUNT", "NO_UPLOAD"),
    prometheus: object({ url: STRING, via: STRING }),
    ...CLUSTER_KEYS,
    cluster_configs: mapOf(
      maybeOpen(side, {
        ...CLUSTER_KEYS,
        workdir: STRING,
        tmpdir: STRING,
        prometheus: object({ url: STRING, via: STRING, filter: STRING_MAP }),
        prometheus_url: STRING,
        partition_configs: mapOf(PARTITION),
      }),
    ),
  });
}

export function workspaceSlurmSchema(): Schema {
  const keys = { quota: QUOTA, sbatch_options: SBATCH_OPTIONS };
  return object({
    disabled: BOOLEAN,
    allowed_clusters: either(STRINGS, { type: "string", pattern: "^all$" }),
    ...keys,
    cluster_configs: mapOf(object(keys)),
  });
}

/** The keys of `slurm` that a task may override. */
export const SLURM_TASK_KEYS: Readonly<Record<string, Schema>> = {
  sbatch_options: SBATCH_OPTIONS,
  quota: QUOTA,
  cpu_partition: STRING,
};
