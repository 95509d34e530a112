import { z } from "zod";
import { commonFields, optionalInteger } from "./body-fields.ts";

export const ProvisionLogsBody = z.object({
  ...commonFields,
  cluster_name: z.string(),
  worker: optionalInteger,
});
export type ProvisionLogsBody = z.infer<typeof ProvisionLogsBody>;
