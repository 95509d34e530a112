/** The keys of the config that a task may override in its `config:` block. */

import { AWS_SCHEMA, AWS_TASK_KEYS, AZURE_SCHEMA, GCP_SCHEMA, pickKeys, VAST_SCHEMA } from "./cloud-schemas.ts";
import type { SchemaSide } from "./config-schema.ts";
import type { Schema } from "./json-schema.ts";
import { KUBERNETES_TASK_KEYS, SSH_TASK_KEYS } from "./kubernetes-schema.ts";
import { SLURM_TASK_KEYS } from "./slurm-schema.ts";
import { BOOLEAN, either, object, openObject, STRING, STRINGS } from "./schema-parts.ts";

const HOOKS: Schema = {
  type: "array",
  maxItems: 32,
  items: object(
    {
      run: { type: "string", minLength: 1, maxLength: 16_384 },
      events: {
        type: "array",
        items: { type: "string", enum: ["stop", "preemption", "down"] },
        minItems: 1,
        uniqueItems: true,
      },
      timeout: { type: "integer", minimum: 1 },
    },
    ["run"],
  ),
};

const GCP_TASK_KEYS = [
  "vpc_name",
  "subnet_names",
  "managed_instance_group",
  "enable_gvnic",
  "enable_gpu_direct",
  "placement_policy",
];

/** The `config:` block. The client lets unknown sections through, for plugins of the server. */
export function taskConfigSchema(side: SchemaSide): Schema {
  const maybeOpen = side === "client" ? openObject : object;
  return maybeOpen({
    docker: object({ run_options: either(STRING, STRINGS) }),
    nvidia_gpus: object({ disable_ecc: BOOLEAN }),
    active_workspace: STRING,
    aws: pickKeys(AWS_SCHEMA, AWS_TASK_KEYS),
    gcp: pickKeys(GCP_SCHEMA, GCP_TASK_KEYS),
    azure: pickKeys(AZURE_SCHEMA, ["remote_identity", "vpc_name"]),
    kubernetes: maybeOpen(KUBERNETES_TASK_KEYS),
    ssh: object(SSH_TASK_KEYS),
    slurm: maybeOpen(SLURM_TASK_KEYS),
    vast: pickKeys(VAST_SCHEMA, ["datacenter_only", "create_instance_kwargs"]),
    hooks: HOOKS,
  });
}

/** Dotted paths of the keys that `--config` folds into the task's own block. */
export function taskOverridablePaths(): readonly string[] {
  return Object.entries(taskConfigSchema("server").properties ?? {}).flatMap(([section, schema]) =>
    section === "hooks" ? [] : pathsOf(section, schema),
  );
}

function pathsOf(section: string, schema: Schema): readonly string[] {
  return schema.properties === undefined ? [section] : Object.keys(schema.properties).map((key) => `${section}.${key}`);
}
