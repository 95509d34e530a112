import type { BudgetRow } from "../../db/queries/budgets.ts";

export type BudgetPeriod = BudgetRow["period"];

const DAY_MS = 86_400_000;
/** The first of January 1970 was a Thursday; weeks begin on Monday. */
const MONDAY_OFFSET_DAYS = 3;

/** The period that `now` is in, in UTC; milliseconds. A budget in total begins with time and has no end. */
export function periodAt(period: BudgetPeriod, now: number): { readonly from: number; readonly to: number } {
  const day = Math.floor(now / DAY_MS);
  switch (period) {
    case "day":
      return { from: day * DAY_MS, to: (day + 1) * DAY_MS };
    case "week": {
      const monday = day - ((day + MONDAY_OFFSET_DAYS) % 7);
      return { from: monday * DAY_MS, to: (monday + 7) * DAY_MS };
    }
    case "month": {
      const date = new Date(now);
      const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
      return { from: Date.UTC(year, month), to: Date.UTC(year, month + 1) };
    }
    case "total":
      return { from: 0, to: Infinity };
  }
}
