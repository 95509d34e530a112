import { z } from "zod";
import { commonFields, flag, optionalInteger } from "./body-fields.ts";
import { waitFor } from "./autostop.ts";

export const StartBody = z.object({
  ...commonFields,
  cluster_name: z.string(),
  idle_minutes_to_autostop: optionalInteger,
  wait_for: waitFor,
  retry_until_up: flag(false),
  down: flag(false),
  force: flag(false),
});
export type StartBody = z.infer<typeof StartBody>;
