import { formatAmount, renderRuled } from "./ruled-table.ts";

/** One row of the table of considered resources. */
export interface ConsideredRow {
  /** E.g. `AWS (us-east-1)`, `Local`. */
  readonly infra: string;
  readonly instance: string;
  readonly cpus: number;
  readonly memoryGib: number;
  /** E.g. `T4:1`; undefined: none. */
  readonly gpus: string | undefined;
  /** USD for all nodes and one hour, or hours when time counts; null = unknown. */
  readonly measure: number | null;
  readonly isChosen: boolean;
}

const COLUMNS = ["INFRA", "INSTANCE", "vCPUs", "Mem(GB)", "GPUS"] as const;
const TICK = "\u001b[32m   ✔\u001b[0m";

/** Renders the table, title and all, as lines. The title names the task when a DAG has several. */
export function renderConsidered(
  rows: readonly ConsideredRow[],
  options: { readonly numNodes: number; readonly minimize: "cost" | "time"; readonly taskName?: string | undefined },
): readonly string[] {
  const { numNodes, minimize, taskName } = options;
  const cells = rows.map((row) => [
    row.infra,
    row.instance,
    formatAmount(row.cpus),
    formatAmount(row.memoryGib),
    row.gpus ?? "-",
    row.measure === null ? "-" : row.measure.toFixed(2),
    row.isChosen ? TICK : "",
  ]);
  const subject = taskName === undefined ? "" : ` for task '${taskName}'`;
  return [
    `Considered resources${subject} (${numNodes} node${numNodes === 1 ? "" : "s"}):`,
    ...renderRuled([...COLUMNS, minimize === "cost" ? "COST ($)" : "TIME (hr)", "CHOSEN"], cells),
  ];
}
