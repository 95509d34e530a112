import { z } from "zod";
import { commonFields, flag, optionalText, optionalTexts } from "./body-fields.ts";

export const CheckBody = z.object({
  ...commonFields,
  clouds: optionalTexts,
  verbose: flag(false),
  workspace: optionalText,
});
export type CheckBody = z.infer<typeof CheckBody>;

/** Workspace → cloud → capabilities. */
export const CheckResult = z.record(z.string(), z.record(z.string(), z.array(z.string())));
export type CheckResult = z.infer<typeof CheckResult>;
