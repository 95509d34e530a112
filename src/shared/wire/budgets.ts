import { z } from "zod";
import { commonFields } from "./body-fields.ts";
import { BudgetOutlook } from "./plan.ts";

function optional<T extends z.ZodType>(type: T) {
  return type.nullish().transform((given) => given ?? undefined);
}

/** What is absent stays as it is; of a new budget it is: your own user, a month, warn. */
export const BudgetSetBody = z.object({
  ...commonFields,
  name: z.string(),
  scope: optional(z.enum(["all", "user", "workspace", "label"])),
  /** User name or id, workspace, `key=value`. */
  scope_value: optional(z.string()),
  limit_usd: optional(z.number()),
  period: optional(z.enum(["day", "week", "month", "total"])),
  action: optional(z.enum(["warn", "stop", "down"])),
});
export type BudgetSetBody = z.infer<typeof BudgetSetBody>;

export const BudgetDeleteBody = z.object({ ...commonFields, name: z.string() });
export type BudgetDeleteBody = z.infer<typeof BudgetDeleteBody>;

/** Result of `budget_set`, element of that of `budget_list`. */
export const BudgetRecord = BudgetOutlook.extend({
  /** False when the price of some cluster is not known, so that more is spent. */
  is_complete: z.boolean(),
  created_by: z.string(),
  /** Seconds since the epoch. */
  created_at: z.int(),
});
export type BudgetRecord = z.infer<typeof BudgetRecord>;
