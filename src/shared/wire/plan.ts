import { z } from "zod";

/** A place in a plan. Prices are USD per hour for all nodes; null = unknown. */
export const PlanOffer = z.object({
  /** As tables show it: `AWS (us-east-1)`. */
  infra: z.string(),
  cloud: z.string(),
  region: z.string(),
  zone: z.string().nullable(),
  instance_type: z.string(),
  cpus: z.number(),
  memory: z.number(),
  accelerators: z.record(z.string(), z.number()),
  use_spot: z.boolean(),
  usd_per_hour: z.number().nullable(),
  /** Day of the price; null where prices do not age. */
  priced_at: z.string().nullable(),
});
export type PlanOffer = z.infer<typeof PlanOffer>;

/** USD per hour for all nodes; null = unknown. */
export const PlanCost = z.object({
  instances: z.number().nullable(),
  disks: z.number().nullable(),
  ips: z.number().nullable(),
  /** Of what is known. */
  total: z.number(),
  is_complete: z.boolean(),
  /** What is paid for while the nodes are stopped. */
  stopped: z.number().nullable(),
});
export type PlanCost = z.infer<typeof PlanCost>;

export const PlanTask = z.object({
  name: z.string().nullable(),
  num_nodes: z.int(),
  disk_gib: z.number(),
  chosen: PlanOffer,
  cost: PlanCost,
  autostop: z.object({ idle_minutes: z.int(), down: z.boolean() }).nullable(),
  /** Every place that would do, best first; only with `explain`. */
  candidates: z.array(PlanOffer.extend({ rank: z.int(), note: z.string().nullable() })).optional(),
  /** What could not be found out about any candidate of a cloud, and why; only with `explain`. */
  notes: z.array(z.string()).optional(),
  /** Every place that was considered and dropped; only with `explain`. */
  rejected: z.array(z.object({ infra: z.string(), what: z.string(), reason: z.string() })).optional(),
});
export type PlanTask = z.infer<typeof PlanTask>;

/** What the money of a budget does; USD. */
export const BudgetOutlook = z.object({
  name: z.string(),
  /** `user alice`, `workspace default`, `label team=x`, `everything`. */
  scope: z.string(),
  period: z.enum(["day", "week", "month", "total"]),
  action: z.enum(["warn", "stop", "down"]),
  limit_usd: z.number(),
  spent_usd: z.number(),
  /** Of what runs now, with the plan. */
  usd_per_hour: z.number(),
  /** At the end of the period at that rate; null without an end. */
  projected_usd: z.number().nullable(),
  /** Seconds since the epoch at which the limit is reached at that rate; null = not in this period. */
  reached_at: z.number().nullable(),
});
export type BudgetOutlook = z.infer<typeof BudgetOutlook>;

/** Result of `/optimize`, and `plan` in the result of a dry run. */
export const Plan = z.object({
  minimize: z.enum(["cost", "time"]),
  tasks: z.array(PlanTask),
  egress: z.array(
    z.object({
      source: z.string(),
      target: z.string(),
      gigabytes: z.number(),
      usd: z.number(),
      seconds: z.number(),
    }),
  ),
  /** USD per hour for all tasks, of what is known. */
  usd_per_hour: z.number(),
  budgets: z.array(BudgetOutlook),
});
export type Plan = z.infer<typeof Plan>;
