/** Every key of the config files. */

import type { Schema } from "./json-schema.ts";
import {
  AWS_SCHEMA,
  AZURE_SCHEMA,
  CLOUDFLARE_SCHEMA,
  GCP_SCHEMA,
  NEBIUS_SCHEMA,
  OCI_SCHEMA,
  VAST_SCHEMA,
  workspaceKeys,
} from "./cloud-schemas.ts";
import { kubernetesSchema, sshSchema } from "./kubernetes-schema.ts";
import { slurmSchema } from "./slurm-schema.ts";
import { AUTOSTOP_SCHEMA, CLOUD_NAMES, RESOURCES_SCHEMA, STORAGE_CLOUDS } from "./resources-schema.ts";
import {
  atLeast,
  BOOLEAN,
  either,
  INTEGER,
  listOf,
  mapOf,
  NUMBER,
  NULL,
  object,
  OPEN,
  openObject,
  pattern,
  STRING,
  STRING_MAP,
  STRINGS,
  word,
} from "./schema-parts.ts";

/** The client leaves a few maps open, for keys that plugins of the server define. */
export type SchemaSide = "client" | "server";

const DAEMON_IDS = [
  "skypilot-status-refresh-daemon",
  "skypilot-volume-status-refresh-daemon",
  "sky-serve-status-refresh-daemon",
  "pool-status-refresh-daemon",
  "server-heartbeat-daemon",
  "expired-token-cleanup-daemon",
  "launch-metrics-daemon",
];

const DAEMON = openObject({ log_level: word("DEBUG", "INFO", "WARNING"), interval_seconds: atLeast(1) });

/** `package.module.Class` */
const DOTTED_PATH = String.raw`^[a-zA-Z_][a-zA-Z0-9_]*(\.[a-zA-Z_][a-zA-Z0-9_]*)+$`;

const BUCKET = pattern("^(https|s3|gs|r2|cos)://.+");

const API_SERVER = object({
  endpoint: pattern("^https?://.*$"),
  service_account_token: either(pattern("^sky_.+$"), NULL),
  requests_retention_hours: INTEGER,
  logs_retention_hours: INTEGER,
  cluster_event_retention_hours: NUMBER,
  cluster_debug_event_retention_hours: NUMBER,
  cluster_terminal_event_retention_hours: NUMBER,
  launch_attempt_retention_hours: NUMBER,
  daemon_log_max_bytes: atLeast(0),
});

const LOGS = object(
  {
    store: word("gcp", "aws"),
    gcp: openObject({ project_id: STRING, credentials_file: STRING, additional_labels: STRING_MAP }),
    aws: openObject({
      region: STRING,
      credentials_file: STRING,
      log_group_name: STRING,
      log_stream_prefix: STRING,
      auto_create_group: BOOLEAN,
      additional_tags: STRING_MAP,
    }),
  },
  ["store"],
);

const RBAC = object({
  default_role: word("admin", "user", "viewer"),
  restrict_config_to_admins: BOOLEAN,
  roles: mapOf(openObject({ permissions: OPEN })),
});

const EXTERNAL_LINK: Schema = {
  type: "object",
  required: ["label"],
  additionalProperties: false,
  properties: {
    label: STRING,
    regex: STRING,
    url: STRING,
    scope: listOf({ type: "string", enum: ["cluster", "jobs"] }),
  },
  oneOf: [{ required: ["regex"] }, { required: ["url"] }],
};

function maybeOpen(side: SchemaSide, properties: Readonly<Record<string, Schema>>): Schema {
  return side === "client" ? openObject(properties) : object(properties);
}

function controllerSchema(): Schema {
  return object({
    resources: RESOURCES_SCHEMA,
    high_availability: BOOLEAN,
    autostop: AUTOSTOP_SCHEMA,
    consolidation_mode: BOOLEAN,
    controller_logs_gc_retention_hours: INTEGER,
    task_logs_gc_retention_hours: INTEGER,
  });
}

const STATUS_CHECK = object({ min_elapsed_seconds: atLeast(0, "number"), min_retries: atLeast(0) });

const built = new Map<SchemaSide, Schema>();

/** @param side the client accepts unknown keys in the maps that plugins extend */
export function configSchema(side: SchemaSide): Schema {
  const schema = built.get(side) ?? buildSchema(side);
  built.set(side, schema);
  return schema;
}

function buildSchema(side: SchemaSide): Schema {
  return object({
    workspace: STRING,
    jobs: maybeOpen(side, {
      controller: controllerSchema(),
      bucket: BUCKET,
      force_disable_cloud_bucket: BOOLEAN,
      status_check: STATUS_CHECK,
    }),
    serve: maybeOpen(side, {
      controller: controllerSchema(),
      bucket: BUCKET,
      force_disable_cloud_bucket: BOOLEAN,
    }),
    allowed_clouds: listOf(word(...CLOUD_NAMES, ...STORAGE_CLOUDS)),
    admin_policy: { type: "string", anyOf: [pattern(DOTTED_PATH), pattern("^https?://.*$")] },
    docker: object({ run_options: either(STRING, STRINGS) }),
    nvidia_gpus: object({ disable_ecc: BOOLEAN }),
    api_server: API_SERVER,
    active_workspace: STRING,
    workspaces: mapOf(object(workspaceKeys(side))),
    workspace_config: object({ read_access: { type: "string", enum: ["allowed_users", "all"] } }),
    provision: object({ ssh_timeout: atLeast(1), install_conda: BOOLEAN }),
    rbac: RBAC,
    logs: LOGS,
    daemons: object(Object.fromEntries(DAEMON_IDS.map((id) => [id, DAEMON]))),
    data: object({ mount_cached: object({ sequential_upload: BOOLEAN }) }),
    dashboard: object({ external_links: listOf(EXTERNAL_LINK) }),
    metrics: object({
      prometheus: object({
        namespace: STRING,
        service: STRING,
        port: { type: "integer", minimum: 1, maximum: 65_535 },
      }),
    }),
    db: STRING,
    aws: AWS_SCHEMA,
    gcp: GCP_SCHEMA,
    azure: AZURE_SCHEMA,
    kubernetes: kubernetesSchema(side),
    ssh: sshSchema(),
    slurm: slurmSchema(side),
    oci: OCI_SCHEMA,
    vast: VAST_SCHEMA,
    nebius: NEBIUS_SCHEMA,
    cloudflare: CLOUDFLARE_SCHEMA,
    plugins: OPEN,
  });
}
