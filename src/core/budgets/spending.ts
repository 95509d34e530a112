/** What has been spent of budgets, and how fast it is spent now. */

import type { Kysely } from "kysely";
import { listBudgets, type BudgetRow } from "../../db/queries/budgets.ts";
import { listSpending, type SpenderRow } from "../../db/queries/cluster-charges.ts";
import type { Database } from "../../db/schema.ts";
import { costOf } from "../clusters/charges.ts";
import { periodAt } from "./period.ts";
import { covers } from "./scope.ts";

export interface BudgetState {
  readonly budget: BudgetRow;
  /** USD in the period that runs. */
  readonly spentUsd: number;
  /** Of the clusters that are there now. */
  readonly usdPerHour: number;
  /** False when the price of some cluster is not known. */
  readonly isComplete: boolean;
  /** End of the period in milliseconds; Infinity without an end. */
  readonly endsAt: number;
}

/** The states of all budgets at this moment, in the order of their names. */
export async function readBudgetStates(db: Kysely<Database>, now: number): Promise<readonly BudgetState[]> {
  const budgets = await listBudgets(db);
  if (budgets.length === 0) return [];
  const since = Math.min(...budgets.map(({ period }) => periodAt(period, now).from));
  const charges = await listSpending(db, since);
  return budgets.map((budget) => stateOf(budget, charges, now));
}

function stateOf(budget: BudgetRow, charges: readonly SpenderRow[], now: number): BudgetState {
  const period = periodAt(budget.period, now);
  const own = charges.filter((charge) => covers(budget, ownerOf(charge)));
  const cost = costOf(own, { from: period.from, to: now });
  const open = own.filter((charge) => charge.ended_at === null);
  return {
    budget,
    spentUsd: cost.totalUsd,
    usdPerHour: open.reduce((sum, charge) => sum + rateOf(charge), 0),
    isComplete: cost.isComplete,
    endsAt: period.to,
  };
}

function ownerOf(charge: SpenderRow) {
  return { ...charge, labels: JSON.parse(charge.labels) as Readonly<Record<string, string>> };
}

function rateOf(charge: SpenderRow): number {
  return (charge.instances_usd_per_hour ?? 0) + (charge.disks_usd_per_hour ?? 0) + (charge.ips_usd_per_hour ?? 0);
}

export function isReached({ spentUsd, budget }: BudgetState): boolean {
  return spentUsd >= budget.limit_usd;
}
