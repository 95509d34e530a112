import { deleteBudget, listBudgets, saveBudget, type BudgetRow } from "../../db/queries/budgets.ts";
import { InvalidValueError } from "../../shared/errors.ts";
import type { BudgetDeleteBody, BudgetRecord, BudgetSetBody } from "../../shared/wire/budgets.ts";
import type { RequestBody } from "../clusters/bodies.ts";
import type { Operation, OperationContext } from "../operation.ts";
import { toOutlook } from "./outlook.ts";
import { assertMayChange, budgetsSeenBy } from "./rights.ts";
import { readBudgetStates, type BudgetState } from "./spending.ts";

/** Makes a budget, or changes what is given of an existing one. */
export const budgetSetOperation: Operation<BudgetSetBody, BudgetRecord> = {
  name: "budgets.set",
  wireName: "budget_set",
  schedule: "short",
  isResumable: false,
  run: async (body, context) => {
    const before = (await listBudgets(context.db)).find(({ name }) => name === body.name);
    const row = toRow(body, before, context);
    await assertMayChange({ before, after: row }, context);
    await saveBudget(context.db, row);
    const [state] = await readBudgetStates(context.db, context.clock.now(), ({ name }) => name === row.name);
    if (state === undefined) throw new InvalidValueError(`Budget '${row.name}' was deleted meanwhile.`);
    return toRecord(state, context);
  },
};

export const budgetListOperation: Operation<RequestBody, readonly BudgetRecord[]> = {
  name: "budgets.list",
  wireName: "budget_list",
  schedule: "short",
  isResumable: false,
  run: async (_body, context) => {
    const isSeen = await budgetsSeenBy(context);
    const states = await readBudgetStates(context.db, context.clock.now(), isSeen);
    return states.map((state) => toRecord(state, context));
  },
};

export const budgetDeleteOperation: Operation<BudgetDeleteBody, null> = {
  name: "budgets.delete",
  wireName: "budget_delete",
  schedule: "short",
  isResumable: false,
  run: async ({ name }, context) => {
    const before = (await listBudgets(context.db)).find((one) => one.name === name);
    if (before !== undefined) await assertMayChange({ before, after: undefined }, context);
    if (!(await deleteBudget(context.db, name))) {
      throw new InvalidValueError(`There is no budget '${name}'.`, { hint: "To see budgets: sky budget ls" });
    }
    return null;
  },
};

function toRow(body: BudgetSetBody, before: BudgetRow | undefined, { caller, clock }: OperationContext): BudgetRow {
  const defaults: Omit<BudgetRow, "name" | "limit_usd"> = {
    scope: "user",
    scope_value: caller.userName,
    period: "month",
    action: "warn",
    created_by: caller.userName,
    created_at: clock.now(),
    reached_at: null,
  };
  const { name, scope, scope_value, period, action, limit_usd } = body;
  const given = Object.entries({ scope, scope_value, period, action, limit_usd }).filter(
    ([, one]) => one !== undefined,
  );
  // That it was reached is looked at anew.
  const row = { ...defaults, ...before, ...Object.fromEntries(given), name, reached_at: null };
  checkName(name);
  checkScope(row);
  return { ...row, limit_usd: checkLimit(row) };
}

function checkName(name: string): void {
  if (/^[a-zA-Z0-9](?:[-._a-zA-Z0-9]*[a-zA-Z0-9])?$/.test(name)) return;
  throw new InvalidValueError(`The name of a budget is made of letters, digits, '-', '.' and '_', not '${name}'.`);
}

function checkScope({ scope, scope_value: value }: Pick<BudgetRow, "scope" | "scope_value">): void {
  if (scope !== "label" || /^[^=]+=/.test(value)) return;
  throw new InvalidValueError(`A label is written key=value, not '${value}'.`);
}

function checkLimit({ name, limit_usd }: { readonly name: string; readonly limit_usd?: number }): number {
  if (limit_usd === undefined) {
    throw new InvalidValueError(`Budget '${name}' needs a limit.`, { hint: `sky budget set ${name} --limit <USD>` });
  }
  if (limit_usd > 0) return limit_usd;
  throw new InvalidValueError(`The limit of a budget is more than 0 USD, not ${limit_usd}.`);
}

function toRecord(state: BudgetState, { clock }: OperationContext): BudgetRecord {
  return {
    ...toOutlook(state, { now: clock.now(), addedUsdPerHour: 0 }),
    is_complete: state.isComplete,
    created_by: state.budget.created_by,
    created_at: Math.floor(state.budget.created_at / 1000),
  };
}
