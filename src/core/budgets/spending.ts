/** What has been spent of budgets, and how fast it is spent now. */

import type { Kysely } from "kysely";
import { listBudgets, type BudgetRow } from "../../db/queries/budgets.ts";
import { listSpending, type ClusterChargeRow, type SpenderRow } from "../../db/queries/cluster-charges.ts";
import type { Database } from "../../db/schema.ts";
import { chargedRates, costOf, totalRate } from "../clusters/charges.ts";
import { periodAt } from "./period.ts";
import { covers, type Ownership } from "./scope.ts";

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

/** The states at this moment of all budgets, or of those that are wanted, in the order of their names. */
export async function readBudgetStates(
  db: Kysely<Database>,
  now: number,
  isWanted: (budget: BudgetRow) => boolean = () => true,
): Promise<readonly BudgetState[]> {
  const budgets = (await listBudgets(db)).filter(isWanted);
  // Most launches fall under none, and what was spent is a long list.
  if (budgets.length === 0) return [];
  const since = Math.min(...budgets.map(({ period }) => periodAt(period, now).from));
  const charges = (await listSpending(db, since)).map(toSpending);
  return budgets.map((budget) => stateOf(budget, charges, now));
}

type Spending = ClusterChargeRow & Ownership;

function toSpending(row: SpenderRow): Spending {
  return { ...row, labels: JSON.parse(row.labels) as Ownership["labels"] };
}

function stateOf(budget: BudgetRow, charges: readonly Spending[], now: number): BudgetState {
  const period = periodAt(budget.period, now);
  const own = charges.filter((charge) => covers(budget, charge));
  const cost = costOf(own, { from: period.from, to: now });
  const open = own.filter((charge) => charge.ended_at === null);
  return {
    budget,
    spentUsd: cost.totalUsd,
    usdPerHour: open.reduce((sum, charge) => sum + totalRate(chargedRates(charge)), 0),
    isComplete: cost.isComplete,
    endsAt: period.to,
  };
}

export function isReached({ spentUsd, budget }: BudgetState): boolean {
  return spentUsd >= budget.limit_usd;
}
