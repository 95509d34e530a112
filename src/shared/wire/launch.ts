import { z } from "zod";
import { commonFields, flag, integer, optionalInteger, optionalText } from "./body-fields.ts";

export const LaunchBody = z.object({
  ...commonFields,
  /** YAML text: a first document `{name: …}` of the DAG, then the task. */
  task: z.string(),
  cluster_name: z.string(),
  retry_until_up: flag(false),
  idle_minutes_to_autostop: optionalInteger,
  wait_for: optionalText,
  dryrun: flag(false),
  down: flag(false),
  backend: optionalText,
  /** 0 = cost, 1 = time. */
  optimize_target: integer(0),
  no_setup: flag(false),
  clone_disk_from: optionalText,
  fast: flag(false),
  quiet_optimizer: flag(false),
  is_launched_by_jobs_controller: flag(false),
  is_launched_by_sky_serve_controller: flag(false),
  disable_controller_check: flag(false),
  resize: flag(false),
  extra_launch_context: z
    .record(z.string(), z.unknown())
    .nullish()
    .transform((given) => given ?? {}),
  include_credentials: flag(false),
  /** The plan of a dry run also has every candidate and every place that was dropped; an addition of ours. */
  explain: flag(false),
});
export type LaunchBody = z.infer<typeof LaunchBody>;
