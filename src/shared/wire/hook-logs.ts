import { z } from "zod";
import { commonFields, flag, integer } from "./body-fields.ts";

export const HookLogsBody = z.object({
  ...commonFields,
  cluster_name: z.string(),
  /** Absent = the one that ran last. */
  event: z.enum(["stop", "down", "preemption"]).nullish(),
  follow: flag(true),
  /** Last N lines; 0 = all. */
  tail: integer(0),
});
