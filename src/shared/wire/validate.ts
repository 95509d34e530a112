import { z } from "zod";
import { commonFields, flag, integer, optionalInteger, optionalText } from "./body-fields.ts";

export const RequestOptions = z.object({
  cluster_name: optionalText,
  idle_minutes_to_autostop: optionalInteger,
  down: flag(false),
  dryrun: flag(false),
});

const dagFields = {
  ...commonFields,
  /** YAML text of one or more documents. */
  dag: z.string(),
  request_options: RequestOptions.nullish().transform((given) => given ?? undefined),
};

/** Answered synchronously: `null`, or 400 with `{"detail": {type, message, args, attributes, stacktrace}}`. */
export const ValidateBody = z.object(dagFields);
export type ValidateBody = z.infer<typeof ValidateBody>;

export const OptimizeBody = z.object({
  ...dagFields,
  minimize: integer(0),
  /** Also every candidate and every place that was dropped; an addition of ours. */
  explain: flag(false),
});
export type OptimizeBody = z.infer<typeof OptimizeBody>;
