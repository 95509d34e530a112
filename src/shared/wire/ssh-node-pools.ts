import { z } from "zod";
import { commonFields, optionalText } from "./body-fields.ts";

/** `/ssh_node_pools/deploy` and `/down`; without `infra` all pools. */
export const SshPoolsBody = z.object({ ...commonFields, infra: optionalText });
export type SshPoolsBody = z.infer<typeof SshPoolsBody>;

/** Name → pool; what a pool may hold is checked where it is read. */
export const SshPoolsUpdate = z.record(z.string(), z.record(z.string(), z.unknown()));
