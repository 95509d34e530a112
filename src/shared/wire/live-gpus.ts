import { z } from "zod";
import { commonFields, optionalInteger, optionalText } from "./body-fields.ts";

/** Prefix of a pool's name where the protocol has names of Kubernetes contexts. */
export const POOL_CONTEXT_PREFIX = "ssh-";

export const LiveGpusBody = z.object({
  ...commonFields,
  context: optionalText,
  name_filter: optionalText,
  quantity_filter: optionalInteger,
  is_ssh: z.boolean().nullish(),
});
export type LiveGpusBody = z.infer<typeof LiveGpusBody>;

/** For each context its accelerators: name, counts that one node gives, how many there are, how many are free. */
export const LiveGpusResult = z.array(
  z.tuple([z.string(), z.array(z.tuple([z.string(), z.array(z.number()), z.number(), z.number()]))]),
);
export type LiveGpusResult = z.infer<typeof LiveGpusResult>;

export const NodeInfoBody = z.object({ ...commonFields, context: optionalText });
export type NodeInfoBody = z.infer<typeof NodeInfoBody>;

export const NodeInfo = z.object({
  name: z.string(),
  accelerator_type: z.string().nullable(),
  total: z.object({ accelerator_count: z.number() }),
  free: z.object({ accelerators_available: z.number() }),
  ip_address: z.string().nullable(),
  cpu_count: z.number(),
  /** GiB. */
  memory_gb: z.number(),
  cpu_free: z.number(),
  memory_free_gb: z.number(),
  is_ready: z.boolean(),
});
export type NodeInfo = z.infer<typeof NodeInfo>;

export const NodesInfo = z.object({ node_info_dict: z.record(z.string(), NodeInfo), hint: z.string() });
export type NodesInfo = z.infer<typeof NodesInfo>;
