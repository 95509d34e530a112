/** The outermost keys of a task. */

import type { Schema } from "../../shared/config/json-schema.ts";
import { BOOLEAN, either, INTEGER, listOf, NUMBER, object, OPEN, STRING } from "../../shared/config/schema-parts.ts";
import type { SchemaSide } from "../../shared/config/config-schema.ts";
import { taskConfigSchema } from "../../shared/config/task-config-schema.ts";

export const ENV_NAME = "^[a-zA-Z_][a-zA-Z0-9_]*$";

const ESTIMATE: Schema = { type: "object", required: [], maxProperties: 1, additionalProperties: NUMBER };

const MANAGED_SECRET: Schema = either(STRING, {
  type: "object",
  additionalProperties: object({ mount_path: STRING }),
});

export function taskSchema(side: SchemaSide): Schema {
  return object({
    name: STRING,
    workdir: either(STRING, object({ url: STRING, ref: STRING }, ["url"])),
    event_callback: STRING,
    num_nodes: INTEGER,
    resources: OPEN,
    file_mounts: OPEN,
    service: OPEN,
    pool: OPEN,
    setup: STRING,
    run: STRING,
    envs: {
      type: "object",
      required: [],
      patternProperties: { [ENV_NAME]: either(STRING, { type: "null" }) },
      additionalProperties: false,
    },
    secrets: either(OPEN, listOf(STRING)),
    managed_secrets: listOf(MANAGED_SECRET),
    inputs: ESTIMATE,
    outputs: ESTIMATE,
    file_mounts_mapping: OPEN,
    config: taskConfigSchema(side),
    volumes: OPEN,
    volume_mounts: listOf(OPEN),
    api_server_access: BOOLEAN,
    _metadata: OPEN,
  });
}
