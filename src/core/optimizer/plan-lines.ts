/** The plan of a DAG as 0.14.1 prints it. */

import { consideredLines, notesAfter } from "./considered.ts";
import { gpuText, infraText, instanceText } from "./place-text.ts";
import type { DagPlacement, PlacedTask } from "./placement.ts";
import { formatAmount, renderRuled } from "./ruled-table.ts";

const BOLD = "\u001b[1m";
const RESET = "\u001b[0m";

/** Notices, the best plan of several tasks, what data costs on its way, and each task's considered resources. */
export function planLines(placement: DagPlacement): readonly string[] {
  const { tasks, minimize } = placement;
  const isSeveral = tasks.length > 1;
  return [
    ...placement.notices,
    ...(isSeveral ? bestPlan(tasks) : []),
    ...egressPlan(placement),
    ...tasks.flatMap((one) => [
      ...(isSeveral ? [""] : []),
      ...consideredLines(one, { minimize, taskName: isSeveral ? (one.answers.task.name ?? "unnamed") : undefined }),
    ]),
    ...tasks.flatMap((one) => notesAfter(one)),
  ];
}

function bestPlan(tasks: readonly PlacedTask[]): readonly string[] {
  const rows = tasks.map(({ answers: { task }, chosen: { offer, displayName } }) => [
    task.name ?? "unnamed",
    String(task.numNodes),
    infraText(displayName, offer),
    instanceText(offer),
    formatAmount(offer.resources.cpus),
    formatAmount(offer.resources.memoryGib),
    gpuText(offer) ?? "-",
  ]);
  return [
    `${BOLD}Best plan: ${RESET}`,
    ...renderRuled(["TASK", "#NODES", "INFRA", "INSTANCE", "vCPUs", "Mem(GB)", "GPUS"], rows),
  ];
}

function egressPlan({ egress, minimize }: DagPlacement): readonly string[] {
  if (egress.length === 0) return [];
  const rows = egress.map(({ source, target, gigabytes, usd, seconds }) => [
    source,
    target,
    formatAmount(gigabytes),
    minimize === "cost" ? usd.toFixed(2) : seconds.toFixed(0),
  ]);
  const header = ["SOURCE", "TARGET", "SIZE (GB)", minimize === "cost" ? "COST ($)" : "TIME (s)"];
  return ["Egress plan:", ...renderRuled(header, rows), ""];
}
