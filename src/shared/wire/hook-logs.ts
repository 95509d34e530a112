import { z } from "zod";
import { commonFields, flag, integer, optionalText } from "./body-fields.ts";

export const HookLogsBody = z.object({
  ...commonFields,
  cluster_name: z.string(),
  event: optionalText,
  follow: flag(true),
  tail: integer(0),
});
export type HookLogsBody = z.infer<typeof HookLogsBody>;
