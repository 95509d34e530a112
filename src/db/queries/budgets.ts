import type { Kysely, Selectable } from "kysely";
import type { BudgetsTable, Database } from "../schema.ts";

export type BudgetRow = Selectable<BudgetsTable>;

/** In the order of their names. */
export async function listBudgets(db: Kysely<Database>): Promise<BudgetRow[]> {
  return db.selectFrom("budgets").selectAll().orderBy("name").execute();
}

/** Replaces the one of the same name. */
export async function saveBudget(db: Kysely<Database>, row: BudgetRow): Promise<void> {
  const { name: _, ...fields } = row;
  await db
    .insertInto("budgets")
    .values(row)
    .onConflict((conflict) => conflict.column("name").doUpdateSet(fields))
    .execute();
}

/** False when there is none of that name. */
export async function deleteBudget(db: Kysely<Database>, name: string): Promise<boolean> {
  const result = await db.deleteFrom("budgets").where("name", "=", name).executeTakeFirst();
  return result.numDeletedRows > 0n;
}

/** Notes when it was reached, or that it is not reached any more. False when it is noted already, or the budget is gone. */
export async function noteBudgetReached(
  db: Kysely<Database>,
  name: string,
  reachedAt: number | null,
): Promise<boolean> {
  const result = await db
    .updateTable("budgets")
    .set({ reached_at: reachedAt })
    .where("name", "=", name)
    .where("reached_at", reachedAt === null ? "is not" : "is", null)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}
