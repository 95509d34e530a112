import type { BudgetRecord } from "../../shared/wire/budgets.ts";
import type { BudgetOptions } from "../../client/budgets-namespace.ts";
import { UsageError } from "../../shared/errors.ts";
import type { Context } from "../context.ts";
import { waitFor } from "../follow.ts";
import type { Input } from "../parser/spec.ts";
import { printJson } from "../render/json.ts";
import { dollars, hourly } from "../../shared/money.ts";
import { renderTable } from "../render/table.ts";
import { renderUtc } from "../render/time.ts";
import type { budgetDeleteSpec, budgetLsSpec, budgetSetSpec } from "../specs/budget.ts";

/** `sky budget set`: makes or changes a budget. */
export async function runBudgetSet({ args, options }: Input<typeof budgetSetSpec>, ctx: Context): Promise<void> {
  const scope = scopeOf(options);
  const client = await ctx.openClient({ config: options.config });
  const { limit, per, action } = options;
  const wish = { limitUsd: limit, scope, per, action, signal: ctx.signal };
  const record = await waitFor(ctx, client.budgets.set(args.name, wish));
  ctx.out.write(`Budget set.\n${renderBudgets([record])}\n`);
}

type ScopeKind = NonNullable<BudgetOptions["scope"]>["kind"];

function scopeOf(options: Input<typeof budgetSetSpec>["options"]): BudgetOptions["scope"] {
  const { user, workspace, label, everything } = options;
  const given = Object.entries({ user, workspace, label }).flatMap(([scope, value]) =>
    value === undefined ? [] : [{ kind: scope as ScopeKind, value }],
  );
  if (everything) given.push({ kind: "all", value: "" });
  if (given.length > 1) throw new UsageError("Give one of --user, --workspace, --label and --everything.");
  return given[0];
}

/** `sky budget ls`. */
export async function runBudgetLs({ options }: Input<typeof budgetLsSpec>, ctx: Context): Promise<void> {
  const client = await ctx.openClient({ config: options.config });
  const records = await waitFor(ctx, client.budgets.ls({ signal: ctx.signal }));
  if (options.outputFormat === "json") return printJson(ctx.out, records);
  ctx.out.write(
    records.length === 0 ? "No budgets. Make one: sky budget set NAME --limit USD\n" : `${renderBudgets(records)}\n`,
  );
}

/** `sky budget delete`. */
export async function runBudgetDelete({ args, options }: Input<typeof budgetDeleteSpec>, ctx: Context): Promise<void> {
  const client = await ctx.openClient({ config: options.config });
  const list = args.names.join(", ");
  if (!options.yes)
    await ctx.confirm(`Deleting ${args.names.length} budget${args.names.length === 1 ? "" : "s"}: ${list}. Proceed?`);
  for (const name of args.names) {
    await waitFor(ctx, client.budgets.delete(name, { signal: ctx.signal }));
    ctx.out.write(`Budget ${name} deleted.\n`);
  }
}

const HEADER = ["NAME", "SCOPE", "PER", "LIMIT", "SPENT", "NOW", "PROJECTED", "ACTION", "REACHED"] as const;

function renderBudgets(records: readonly BudgetRecord[]): string {
  return renderTable(
    HEADER,
    records.map((one) => [
      one.name,
      one.scope,
      one.period,
      dollars(one.limit_usd),
      `${one.is_complete ? "" : "≥ "}${dollars(one.spent_usd)} (${Math.floor((one.spent_usd / one.limit_usd) * 100)}%)`,
      hourly(one.usd_per_hour),
      one.projected_usd === null ? "-" : dollars(one.projected_usd),
      one.action,
      reachedText(one),
    ]),
  );
}

function reachedText({ spent_usd, limit_usd, reached_at }: BudgetRecord): string {
  if (spent_usd >= limit_usd) return "yes";
  return reached_at === null ? "-" : renderUtc(reached_at);
}
