/** The sections of the clouds that are virtual machines. */

import type { Schema } from "./json-schema.ts";
import { CLOUD_NAMES, STORAGE_CLOUDS } from "./resources-schema.ts";
import type { SchemaSide } from "./config-schema.ts";
import { workspaceKubernetesSchema } from "./kubernetes-schema.ts";
import { workspaceSlurmSchema } from "./slurm-schema.ts";
import {
  BOOLEAN,
  either,
  INTEGER,
  listOf,
  mapOf,
  NULL,
  object,
  openObject,
  OPEN,
  pattern,
  STRING,
  STRING_MAP,
  STRING_OR_NULL,
  STRINGS,
  word,
} from "./schema-parts.ts";

/** The keys of `aws` that a task may override. */
export const AWS_TASK_KEYS: readonly string[] = [
  "vpc_names",
  "subnet_names",
  "security_group_name",
  "remote_identity",
  "use_internal_ips",
  "use_ssm",
  "ssh_proxy_command",
  "region_configs",
];

/** The three ways to give nodes an identity. */
export const REMOTE_IDENTITY = word("LOCAL_CREDENTIALS", "SERVICE_ACCOUNT", "NO_UPLOAD");

const CAPABILITIES = listOf(word("compute", "storage"));

const NAMES: Schema = either(STRING, STRINGS, NULL);

const PROXY_COMMAND: Schema = either(STRING, NULL, {
  type: "object",
  required: [],
  additionalProperties: STRING_OR_NULL,
});

/** `[{glob: value}]`, one pair per item. */
function byCluster(value: Schema): Schema {
  return listOf({ type: "object", additionalProperties: value, minProperties: 1, maxProperties: 1 });
}

const BY_CLUSTER = byCluster(STRING);

/** An address block of IPv4 or IPv6. */
const CIDR = String.raw`^(?:\d{1,3}(?:\.\d{1,3}){3}/(?:\d|[12]\d|3[0-2])|[0-9A-Fa-f:]+/(?:\d{1,2}|1[01]\d|12[0-8]))$`;

const AWS_IDENTITY = either(STRING, BY_CLUSTER);

const AWS_KEYS: Readonly<Record<string, Schema>> = {
  prioritize_reservations: BOOLEAN,
  specific_reservations: STRINGS,
  disk_encrypted: BOOLEAN,
  ssh_user: STRING,
  security_group_name: either(STRING, BY_CLUSTER),
  ssh_allowed_cidrs: listOf(pattern(CIDR)),
  role_policy: word("narrow", "broad"),
  bucket_role: pattern(String.raw`^arn:aws[\w-]*:iam::\d{12}:role/.+$`),
  vpc_name: STRING_OR_NULL,
  vpc_names: NAMES,
  subnet_names: NAMES,
  use_ssm: BOOLEAN,
  ssm_mode: word("native", "plugin"),
  post_provision_runcmd: listOf(either(STRING, STRINGS)),
  enforce_tags: { type: "array", items: word("instance", "volume"), uniqueItems: true },
  capabilities: CAPABILITIES,
  labels: STRING_MAP,
  use_internal_ips: BOOLEAN,
  ssh_proxy_command: PROXY_COMMAND,
  remote_identity: AWS_IDENTITY,
  // The original takes it in a workspace only.
  profile: STRING,
};

/** What may differ from region to region. */
const AWS_REGION_KEYS = [
  "vpc_name",
  "vpc_names",
  "subnet_names",
  "security_group_name",
  "ssh_allowed_cidrs",
  "remote_identity",
  "use_internal_ips",
  "use_ssm",
  "ssh_proxy_command",
  "disk_encrypted",
  "labels",
  "post_provision_runcmd",
  "specific_reservations",
] as const;

export const AWS_SCHEMA: Schema = object({
  ...AWS_KEYS,
  region_configs: mapOf(object(Object.fromEntries(AWS_REGION_KEYS.map((key) => [key, AWS_KEYS[key] ?? OPEN])))),
});

export const GCP_SCHEMA: Schema = object({
  prioritize_reservations: BOOLEAN,
  specific_reservations: STRINGS,
  managed_instance_group: object({ run_duration: INTEGER, provision_timeout: INTEGER }, ["run_duration"]),
  force_enable_external_ips: BOOLEAN,
  enable_gvnic: BOOLEAN,
  enable_gpu_direct: BOOLEAN,
  placement_policy: STRING,
  vpc_name: either(pattern("^(?:[-a-z0-9]+/)?[-a-z0-9]+$"), NULL),
  subnet_names: NAMES,
  capabilities: CAPABILITIES,
  labels: STRING_MAP,
  use_internal_ips: BOOLEAN,
  ssh_proxy_command: PROXY_COMMAND,
  remote_identity: REMOTE_IDENTITY,
});

export const AZURE_SCHEMA: Schema = object({
  storage_account: STRING,
  resource_group_vm: STRING,
  vpc_name: STRING_OR_NULL,
  labels: STRING_MAP,
  capabilities: CAPABILITIES,
  use_internal_ips: BOOLEAN,
  ssh_proxy_command: PROXY_COMMAND,
  remote_identity: either(STRING, BY_CLUSTER),
});

export const OCI_SCHEMA: Schema = openObject({
  region_configs: mapOf(
    object({
      compartment_ocid: STRING,
      image_tag_general: STRING,
      image_tag_gpu: STRING,
      vcn_ocid: STRING,
      vcn_subnet: STRING,
    }),
  ),
  remote_identity: REMOTE_IDENTITY,
});

export const NEBIUS_SCHEMA: Schema = openObject({
  use_internal_ips: BOOLEAN,
  ssh_proxy_command: PROXY_COMMAND,
  use_static_ip_address: BOOLEAN,
  disk_encrypted: BOOLEAN,
  tenant_id: STRING,
  domain: STRING,
  use_personal_pricing: BOOLEAN,
  security_group_name: either(STRING, BY_CLUSTER),
  region_configs: mapOf(
    object({
      project_id: STRING,
      subnet_id: STRING,
      fabric: STRING,
      disk_encrypted: BOOLEAN,
      filesystems: listOf(object({ filesystem_id: STRING, attach_mode: STRING, mount_path: STRING })),
    }),
  ),
  remote_identity: REMOTE_IDENTITY,
});

export const VAST_SCHEMA: Schema = object({
  datacenter_only: BOOLEAN,
  create_instance_kwargs: OPEN,
  remote_identity: REMOTE_IDENTITY,
});

/** `LOCAL_CREDENTIALS`: nodes get the keys of the API token themselves, and not keys for one bucket. */
export const CLOUDFLARE_SCHEMA: Schema = object({
  remote_identity: either(word("LOCAL_CREDENTIALS"), byCluster(word("LOCAL_CREDENTIALS"))),
});

const SPECIAL_IN_WORKSPACES: readonly string[] = ["gcp", "aws", "ssh", "kubernetes", "slurm", "nebius"];

/** The keys of one workspace; every cloud can be disabled in it. */
export function workspaceKeys(side: SchemaSide): Readonly<Record<string, Schema>> {
  const plain = [...CLOUD_NAMES, ...STORAGE_CLOUDS].filter((name) => !SPECIAL_IN_WORKSPACES.includes(name));
  return {
    ...Object.fromEntries(plain.map((name) => [name, object({ disabled: BOOLEAN })])),
    private: BOOLEAN,
    allowed_users: STRINGS,
    read_access: { type: "string", enum: ["allowed_users", "all"] },
    gcp: object({
      project_id: STRING,
      disabled: BOOLEAN,
      capabilities: CAPABILITIES,
      remote_identity: REMOTE_IDENTITY,
    }),
    aws: object({
      disabled: BOOLEAN,
      profile: STRING,
      capabilities: CAPABILITIES,
      remote_identity: AWS_IDENTITY,
    }),
    ssh: object({ allowed_node_pools: STRINGS, disabled: BOOLEAN }),
    kubernetes: workspaceKubernetesSchema(side),
    slurm: workspaceSlurmSchema(),
    nebius: object({ credentials_file_path: STRING, tenant_id: STRING, domain: STRING, disabled: BOOLEAN }),
  };
}

/** The part of a section that a task may override. */
export function pickKeys(section: Schema, keys: readonly string[]): Schema {
  return object(Object.fromEntries(Object.entries(section.properties ?? {}).filter(([key]) => keys.includes(key))));
}
