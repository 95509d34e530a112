/** What a plan costs, what autostop saves, and what it does to budgets; and why a task goes where it goes. */

import type { BudgetOutlook, Plan, PlanTask } from "../../shared/wire/plan.ts";
import { dollars, hourly } from "../../shared/money.ts";
import { renderTable } from "./table.ts";
import { renderUtc } from "./time.ts";

const HOURS_PER_DAY = 24;

/** The result of `/optimize` if the server describes plans; a server of the original does not. */
export function asPlan(value: unknown): Plan | undefined {
  const isPlan = typeof value === "object" && value !== null && "tasks" in value && "budgets" in value;
  return isPlan ? (value as Plan) : undefined;
}

/** Nothing for what costs nothing. */
export function renderMoney(plan: Plan): string {
  const lines = plan.tasks.flatMap((task) => costLines(task, plan.tasks.length > 1));
  return lines.length === 0 ? "" : [...lines, ...plan.budgets.map(budgetLine), ""].join("\n");
}

function costLines(task: PlanTask, isNamed: boolean): readonly string[] {
  const { cost, num_nodes: nodes, chosen } = task;
  if (cost.total === 0 && cost.is_complete) return [];
  const subject = isNamed && task.name !== null ? `Cost of ${task.name}` : "Cost";
  const date = chosen.priced_at === null ? "" : ` (${chosen.use_spot ? "spot " : ""}prices of ${chosen.priced_at})`;
  return [
    `${subject}${nodes === 1 ? "" : ` of ${nodes} nodes`}: ${hourly(cost.total)}: ${parts(task).join(", ")}${date}`,
    autostopLine(task),
  ];
}

function parts({ cost, num_nodes: nodes, disk_gib: gib }: PlanTask): readonly string[] {
  const plural = nodes === 1 ? "" : "s";
  const shown: readonly (readonly [string, number | null])[] = [
    [`instance${plural}`, cost.instances],
    [`disk${plural} of ${gib} GB`, cost.disks],
    [`public IPv4`, cost.ips],
  ];
  return shown.flatMap(([what, usd]) =>
    usd === 0 ? [] : [`${what} ${usd === null ? "of unknown price" : dollars(usd)}`],
  );
}

function autostopLine({ autostop, cost }: PlanTask): string {
  if (autostop === null) {
    const perDay = dollars(cost.total * HOURS_PER_DAY);
    return `No autostop: ${perDay} a day until it is stopped; \`-i 30\` stops it after 30 idle minutes`;
  }
  const { idle_minutes: minutes, down } = autostop;
  const after = `after ${minutes} idle minute${minutes === 1 ? "" : "s"}`;
  if (down) return `Autodown ${after}: from then on it costs nothing, which saves ${hourly(cost.total)}`;
  const left = cost.stopped ?? 0;
  const rest = left === 0 ? "" : `; ${hourly(left)} for disks remain`;
  return `Autostop ${after} saves ${hourly(cost.total - left)}${rest}`;
}

function budgetLine(budget: BudgetOutlook): string {
  const of = `${dollars(budget.spent_usd)} of ${dollars(budget.limit_usd)} spent ${span(budget)}`;
  const then =
    budget.action === "warn"
      ? ""
      : ` and then the server ${budget.action === "stop" ? "stops" : "terminates"} its clusters`;
  const reached = budget.reached_at === null ? "" : `, reached on ${renderUtc(budget.reached_at)}${then}`;
  const projected =
    budget.projected_usd === null ? "" : `; with this about ${dollars(budget.projected_usd)} at its end`;
  return `Budget ${budget.name} (${budget.scope}): ${of}${projected}${reached}`;
}

function span({ period }: Pick<BudgetOutlook, "period">): string {
  if (period === "total") return "in total";
  return period === "day" ? "today" : `this ${period}`;
}

/** Every candidate with its rank, and every place that was dropped with the reason. */
export function renderExplanation(plan: Plan): string {
  return plan.tasks.map((task) => explainTask(task, plan.tasks.length > 1)).join("\n");
}

const HEADER = ["RANK", "INFRA", "INSTANCE", "vCPUs", "Mem(GB)", "GPUS", "$/HR", "PRICED", "NOTE"] as const;

function explainTask(task: PlanTask, isNamed: boolean): string {
  const of = isNamed && task.name !== null ? ` of ${task.name}` : "";
  const rows = (task.candidates ?? []).map((one) => [
    String(one.rank),
    one.infra,
    `${one.instance_type}${one.use_spot ? "[Spot]" : ""}`,
    String(one.cpus),
    String(one.memory),
    Object.entries(one.accelerators)
      .map(([name, count]) => `${name}:${count}`)
      .join(", ") || "-",
    one.usd_per_hour === null ? "-" : String(Number(one.usd_per_hour.toFixed(4))),
    one.priced_at ?? "-",
    one.note ?? "",
  ]);
  const rejected = (task.rejected ?? []).map(({ infra, what, reason }) =>
    what === "" ? `  ${infra}: ${reason}` : `  ${infra}: ${what}: ${reason}`,
  );
  return [
    `Candidates${of} (${rows.length}), in the order in which a launch tries them:`,
    renderTable(HEADER, rows),
    ...(task.notes ?? []).map((note) => `  ${note}`),
    `Dropped${of} (${rejected.length}):`,
    ...(rejected.length === 0 ? ["  nothing"] : rejected),
    "",
  ].join("\n");
}
