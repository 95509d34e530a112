/** One row of the table of considered resources. */
export interface ConsideredRow {
  /** E.g. `AWS (us-east-1)`, `Local`. */
  readonly infra: string;
  readonly instance: string;
  readonly cpus: number;
  readonly memoryGib: number;
  /** E.g. `T4:1`; undefined: none. */
  readonly gpus: string | undefined;
  /** For all nodes and one hour; null = unknown. */
  readonly costUsd: number | null;
  readonly isChosen: boolean;
}

const HEADER = ["INFRA", "INSTANCE", "vCPUs", "Mem(GB)", "GPUS", "COST ($)", "CHOSEN"] as const;
const TICK = "   ✔";

/** Renders the table, title and all, as lines. */
export function renderConsidered(rows: readonly ConsideredRow[], numNodes: number): readonly string[] {
  const cells = rows.map((row) => [
    row.infra,
    row.instance,
    formatAmount(row.cpus),
    formatAmount(row.memoryGib),
    row.gpus ?? "-",
    row.costUsd === null ? "-" : row.costUsd.toFixed(2),
    row.isChosen ? TICK : "",
  ]);
  const widths = HEADER.map((title, column) => Math.max(title.length, ...cells.map((row) => row[column]?.length ?? 0)));
  const rule = "-".repeat(widths.reduce((sum, width) => sum + width + 3, 1));
  const line = (row: readonly string[]): string =>
    ` ${row.map((cell, column) => `${cell.padEnd(widths[column] ?? 0)}   `).join("")}`;
  return [
    `Considered resources (${numNodes} node${numNodes === 1 ? "" : "s"}):`,
    rule,
    line(HEADER),
    rule,
    ...cells.map((row) => line(row).replace(TICK, `\u001b[32m${TICK}\u001b[0m`)),
    rule,
  ];
}

/** At most one decimal, none for whole numbers. */
export function formatAmount(amount: number): string {
  return String(Math.round(amount * 10) / 10);
}
