/** The `resources` block, of tasks and of the controllers in the config. */

import type { Schema } from "./json-schema.ts";

const STRING: Schema = { type: "string" };
const BOOLEAN: Schema = { type: "boolean" };
const NUMBER: Schema = { type: "number" };

/** In the order in which messages list them. */
export const CLOUD_NAMES = [
  "aws",
  "azure",
  "gcp",
  "ibm",
  "lambda",
  "scp",
  "oci",
  "kubernetes",
  "runpod",
  "vast",
  "vsphere",
  "cudo",
  "fluidstack",
  "paperspace",
  "primeintellect",
  "do",
  "nebius",
  "ssh",
  "slurm",
  "hyperbolic",
  "seeweb",
  "shadeform",
  "yotta",
  "mithril",
  "verda",
] as const;

/** They hold data and run nothing. */
export const STORAGE_CLOUDS = ["cloudflare", "coreweave", "vastdata", "huggingface"] as const;

const INFRA_PATTERN = [
  `^(?:(?i:(${CLOUD_NAMES.filter((name) => name !== "kubernetes").join("|")}))(?:/[^/]+(?:/[^/]+)?)?`,
  String.raw`\*(?:/[^/]+(?:/[^/]+)?)?`,
  "(?i:kubernetes|k8s)(?:/.+)?)$",
].join("|");

const UNITS = ["kb", "ki", "mb", "mi", "gb", "gi", "tb", "ti", "pb", "pi"];

const SIZE_PATTERN = `^[0-9]+(${[
  ...UNITS,
  ...UNITS.map((unit) => unit.toUpperCase()),
  ...UNITS.map((unit) => unit.charAt(0).toUpperCase() + unit.slice(1)),
].join("|")})?$`;

/** Whole GiB or a number with a unit. */
export const SIZE_SCHEMA: Schema = {
  anyOf: [{ type: "string", pattern: SIZE_PATTERN }, { type: "integer" }],
};

const AMOUNT: Schema = { anyOf: [STRING, NUMBER] };

export const DURATION_PATTERN = "^[0-9]+(m|h|d|w|M|H|D|W)?$";

export const AUTOSTOP_SCHEMA: Schema = {
  anyOf: [
    BOOLEAN,
    { type: "string", pattern: DURATION_PATTERN },
    { type: "integer" },
    {
      type: "object",
      required: [],
      additionalProperties: false,
      properties: {
        idle_minutes: { type: "integer", minimum: 0 },
        down: BOOLEAN,
        wait_for: { type: "string", enumIgnoringCase: ["jobs_and_ssh", "jobs", "none"] },
        hook: STRING,
        hook_timeout: { type: "integer", minimum: 1 },
      },
    },
    // A second map form makes an unknown key ambiguous, so that the whole value is reported.
    { type: "object", additionalProperties: false, properties: {} },
  ],
};

const EXIT_CODE: Schema = { type: "integer", minimum: 0, maximum: 255 };

const JOB_RECOVERY: Schema = {
  anyOf: [
    STRING,
    {
      type: "object",
      required: [],
      properties: {
        strategy: { anyOf: [STRING, { type: "null" }] },
        max_restarts_on_errors: { type: "integer", minimum: 0 },
        recover_on_exit_codes: { anyOf: [EXIT_CODE, { type: "array", items: EXIT_CODE, uniqueItems: true }] },
      },
    },
  ],
};

const ACCELERATOR_COUNT: Schema = { anyOf: [{ type: "null" }, NUMBER] };

const ONE_ACCELERATOR: Schema = {
  anyOf: [STRING, { type: "object", required: [], maxProperties: 1, additionalProperties: NUMBER }],
};

const ACCELERATORS: Schema = {
  anyOf: [
    STRING,
    { type: "object", required: [], additionalProperties: ACCELERATOR_COUNT },
    { type: "array", items: STRING },
  ],
};

const LEGACY_VOLUME: Schema = {
  type: "object",
  properties: {
    disk_size: SIZE_SCHEMA,
    disk_tier: STRING,
    path: STRING,
    auto_delete: BOOLEAN,
    storage_type: STRING,
    name: STRING,
    attach_mode: STRING,
  },
};

const COMMON: Readonly<Record<string, Schema>> = {
  cloud: { type: "string", enumIgnoringCase: CLOUD_NAMES },
  region: STRING,
  zone: STRING,
  infra: { type: "string", pattern: INFRA_PATTERN, alsoAccepts: /^(local|fake(\/[^/]+){0,2})$/ },
  cpus: AMOUNT,
  memory: AMOUNT,
  instance_type: STRING,
  use_spot: BOOLEAN,
  job_recovery: JOB_RECOVERY,
  volumes: { type: "array", items: LEGACY_VOLUME },
  disk_size: SIZE_SCHEMA,
  ephemeral_storage: SIZE_SCHEMA,
  disk_tier: STRING,
  network_tier: STRING,
  local_disk: STRING,
  max_hourly_cost: { type: "number", exclusiveMinimum: 0 },
  ports: {
    anyOf: [
      STRING,
      { type: "integer" },
      { type: "array", items: { anyOf: [STRING, { type: "integer" }] } },
      { type: "null" },
    ],
  },
  labels: { type: "object", additionalProperties: STRING },
  accelerator_args: {
    type: "object",
    required: [],
    additionalProperties: false,
    properties: { runtime_version: STRING, tpu_name: STRING, tpu_vm: BOOLEAN, gcp_queued_resource: BOOLEAN },
  },
  _no_missing_accel_warnings: BOOLEAN,
  image_id: { anyOf: [STRING, { type: "object", required: [] }, { type: "null" }] },
  autostop: AUTOSTOP_SCHEMA,
  priority: { type: "integer", minimum: -1000, maximum: 1000 },
  priority_class: STRING,
  _docker_login_config: {
    type: "object",
    required: ["username", "password", "server"],
    additionalProperties: false,
    properties: { username: STRING, password: STRING, server: STRING },
  },
  _is_image_managed: BOOLEAN,
  _requires_fuse: BOOLEAN,
  _cluster_config_overrides: { type: "object" },
  accelerators: ACCELERATORS,
};

/** One candidate of any_of or ordered. */
const CANDIDATE: Schema = {
  type: "object",
  required: [],
  additionalProperties: false,
  properties: { ...COMMON, accelerators: ONE_ACCELERATOR },
};

export const RESOURCES_SCHEMA: Schema = {
  type: "object",
  required: [],
  additionalProperties: false,
  properties: { ...COMMON, any_of: { type: "array", items: CANDIDATE }, ordered: { type: "array", items: CANDIDATE } },
};
