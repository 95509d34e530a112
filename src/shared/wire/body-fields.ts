import { z } from "zod";

/** Version constants of the protocol; every response carries the first two as headers. */
export const API_VERSION = 62;
export const MIN_COMPATIBLE_API_VERSION = 24;
export const MIN_COMPATIBLE_VERSION = "0.11.0";
export const SKYPILOT_VERSION = "0.14.1";
export const SKYPILOT_COMMIT = "7e595970a806dcc9eefadf459f399edf1733e962";

/** A boolean that is `value` when absent or null. */
export function flag(value: boolean) {
  return z
    .boolean()
    .nullish()
    .transform((given) => given ?? value);
}

/** An integer that is `value` when absent or null. */
export function integer(value: number) {
  return z
    .int()
    .nullish()
    .transform((given) => given ?? value);
}

/** An optional text; null and absent are the same. */
export const optionalText = z
  .string()
  .nullish()
  .transform((given) => given ?? undefined);

export const optionalInteger = z
  .int()
  .nullish()
  .transform((given) => given ?? undefined);

export const optionalTexts = z
  .array(z.string())
  .nullish()
  .transform((given) => given ?? undefined);

export const optionalIntegers = z
  .array(z.int())
  .nullish()
  .transform((given) => given ?? undefined);

/** Fields that every operation body may carry. */
export const commonFields = {
  env_vars: z
    .record(z.string(), z.string())
    .nullish()
    .transform((given) => given ?? {}),
  entrypoint: z
    .string()
    .nullish()
    .transform((given) => given ?? ""),
  entrypoint_command: z
    .string()
    .nullish()
    .transform((given) => given ?? ""),
  using_remote_api_server: flag(false),
  override_skypilot_config: z
    .record(z.string(), z.unknown())
    .nullish()
    .transform((given) => given ?? {}),
  override_skypilot_config_path: optionalText,
  file_mounts_blob_id: z
    .string()
    .regex(/^[0-9a-f]{64}$/, "must be 64 lower-case hexadecimal digits")
    .nullish()
    .transform((given) => given ?? undefined),
};

export const CommonBody = z.object(commonFields);
export type CommonBody = z.infer<typeof CommonBody>;
