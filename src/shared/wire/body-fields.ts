import { z } from "zod";

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
