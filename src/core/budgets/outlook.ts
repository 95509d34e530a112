/** What a launch would do to the budgets that it falls under. */

import type { BudgetRow } from "../../db/queries/budgets.ts";
import { BudgetReachedError } from "../../shared/errors.ts";
import { dollars } from "../../shared/money.ts";
import type { BudgetOutlook } from "../../shared/wire/plan.ts";
import type { OperationContext } from "../operation.ts";
import { scopeText, covers, type Ownership } from "./scope.ts";
import { isReached, readBudgetStates, type BudgetState } from "./spending.ts";

const HOUR_MS = 3_600_000;

export interface Launch {
  readonly labels: Readonly<Record<string, string>>;
  /** USD per hour of all that it starts. */
  readonly usdPerHour: number;
}

/** The budgets that the caller's launch falls under, with what they would come to. */
export async function budgetOutlook(launch: Launch, context: OperationContext): Promise<readonly BudgetOutlook[]> {
  const now = context.clock.now();
  const owner = ownerOf(launch.labels, context);
  const states = await readBudgetStates(context.db, now, (budget) => covers(budget, owner));
  return states.map((state) => toOutlook(state, { now, addedUsdPerHour: launch.usdPerHour }));
}

/** Throws BudgetReachedError when a budget that stops clusters has nothing left for one that costs something. */
export async function assertBudget(owner: Ownership, usdPerHour: number, context: OperationContext): Promise<void> {
  if (usdPerHour <= 0) return;
  const isStrict = (budget: BudgetRow): boolean => budget.action !== "warn" && covers(budget, owner);
  const spent = (await readBudgetStates(context.db, context.clock.now(), isStrict)).find(isReached);
  if (spent !== undefined) throw new BudgetReachedError(reachedText(spent), { hint: raiseHint(spent) });
}

/** Whose a cluster is that the caller launches. */
export function ownerOf(labels: Readonly<Record<string, string>>, { caller }: OperationContext): Ownership {
  return { user_hash: caller.userId, user_name: caller.userName, workspace: caller.workspace, labels };
}

/** `Budget 'team' (workspace default) is used up: $100.20 of $100.00 this month.` */
export function reachedText({ budget, spentUsd }: BudgetState): string {
  const span = budget.period === "total" ? "in total" : budget.period === "day" ? "today" : `this ${budget.period}`;
  return `Budget '${budget.name}' (${scopeText(budget)}) is used up: ${dollars(spentUsd)} of ${dollars(budget.limit_usd)} ${span}.`;
}

function raiseHint({ budget }: BudgetState): string {
  return `To see budgets: sky budget ls. To raise this one: sky budget set ${budget.name} --limit <USD>`;
}

export function toOutlook(
  { budget, spentUsd, usdPerHour, endsAt }: BudgetState,
  { now, addedUsdPerHour }: { readonly now: number; readonly addedUsdPerHour: number },
): BudgetOutlook {
  const rate = usdPerHour + addedUsdPerHour;
  const leftHours = rate > 0 ? Math.max(0, budget.limit_usd - spentUsd) / rate : Infinity;
  const reachedAt = now + leftHours * HOUR_MS;
  return {
    name: budget.name,
    scope: scopeText(budget),
    period: budget.period,
    action: budget.action,
    limit_usd: budget.limit_usd,
    spent_usd: spentUsd,
    usd_per_hour: rate,
    projected_usd: endsAt === Infinity ? null : spentUsd + rate * ((endsAt - now) / HOUR_MS),
    reached_at: spentUsd >= budget.limit_usd || reachedAt < endsAt ? finite(reachedAt) : null,
  };
}

function finite(ms: number): number | null {
  return Number.isFinite(ms) ? Math.floor(ms / 1000) : null;
}
