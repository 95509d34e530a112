import { z } from "zod";
import { commonFields, flag, optionalTexts } from "./body-fields.ts";

export const OrphansBody = z.object({
  ...commonFields,
  /** What to do with those that are named (all of the caller's when none is). */
  action: z.enum(["list", "down", "adopt"]).default("list"),
  cluster_names: optionalTexts,
  all_users: flag(false),
});
export type OrphansBody = z.infer<typeof OrphansBody>;

/** A cluster on a cloud that no server's database has. Times are seconds since the epoch. */
export const OrphanRecord = z.object({
  name: z.string(),
  name_on_cloud: z.string(),
  cloud: z.string(),
  infra: z.string(),
  nodes: z.int(),
  instance_type: z.string(),
  /** `running`, `stopped`, … of its instances; empty when only other things are left. */
  states: z.array(z.string()),
  user_name: z.string(),
  user_hash: z.string().nullable(),
  launched_at: z.int().nullable(),
  /** What was done with it; null = nothing was asked for. */
  outcome: z.enum(["removed", "adopted", "failed"]).nullable(),
  problem: z.string().nullable(),
});
export type OrphanRecord = z.infer<typeof OrphanRecord>;
