/** Which of a task's places the table of considered resources shows. */

import { dim } from "../clusters/messages.ts";
import type { Task } from "../task/task.ts";
import type { RankedOffer, TaskAnswers } from "./candidates.ts";
import { gpuText, hardwareText, infraText, instanceText, isVirtualType } from "./place-text.ts";
import { shownRate } from "./rates.ts";
import { renderConsidered, type ConsideredRow } from "./table.ts";

/** Where one task goes, out of what the clouds offered. */
export interface TaskPlacement {
  readonly answers: TaskAnswers;
  readonly chosen: RankedOffer;
  /** Hours that the task takes at a place. */
  readonly hours: (offer: RankedOffer) => number;
}

export type Target = "cost" | "time";

/** The table of one task; `taskName` is given when there are several. */
export function consideredLines(
  placement: TaskPlacement,
  options: { readonly minimize: Target; readonly taskName?: string | undefined },
): readonly string[] {
  const { numNodes } = placement.answers.task;
  return renderConsidered(consideredRows(placement, options.minimize), { ...options, numNodes });
}

/** One row for each cloud, kind of accelerator and purchase option: the place that is chosen, or the best one. */
function consideredRows(placement: TaskPlacement, minimize: Target): readonly ConsideredRow[] {
  const { answers, chosen } = placement;
  const { task } = answers;
  const best = new Map<string, RankedOffer>();
  for (const one of answers.answers.flatMap((answer) => answer.offers)) {
    const key = rowKey(one);
    const known = best.get(key);
    if (known === chosen) continue;
    if (known === undefined || one === chosen || compare(one, known, { placement, minimize }) < 0) best.set(key, one);
  }
  const rows = [...best.values()].map((one) => ({ one, measure: measureOf(one, { placement, minimize }) }));
  const rank = ({ one, measure }: (typeof rows)[number]): readonly [number, number] => [
    task.resources.kind === "ordered" ? one.candidate : 0,
    measure === null ? Infinity : Number(measure.toFixed(2)),
  ];
  rows.sort((a, b) => rank(a)[0] - rank(b)[0] || rank(a)[1] - rank(b)[1] || 0);
  return rows.map(({ one, measure }) => toRow(one, { measure, isChosen: one === chosen }));
}

/** Where the place is a machine or a cluster of the user's own rather than a region, each has a row. */
function rowKey({ displayName, offer }: RankedOffer): string {
  const place = isVirtualType(offer.instanceType) ? offer.region : "";
  return [displayName, gpuText(offer) ?? "", String(offer.useSpot), place].join("\0");
}

interface Measuring {
  readonly placement: TaskPlacement;
  readonly minimize: Target;
}

function measureOf(one: RankedOffer, { placement, minimize }: Measuring): number | null {
  const hours = placement.hours(one);
  if (minimize === "time") return hours;
  const rate = shownRate(one.offer, placement.answers.task.numNodes);
  return rate === null ? null : rate * hours;
}

function compare(a: RankedOffer, b: RankedOffer, measuring: Measuring): number {
  return (measureOf(a, measuring) ?? Number.MAX_VALUE) - (measureOf(b, measuring) ?? Number.MAX_VALUE);
}

function toRow(one: RankedOffer, shown: Pick<ConsideredRow, "measure" | "isChosen">): ConsideredRow {
  const { offer, displayName } = one;
  return {
    infra: infraText(displayName, offer),
    instance: instanceText(offer),
    cpus: offer.resources.cpus,
    memoryGib: offer.resources.memoryGib,
    gpus: gpuText(offer),
    ...shown,
  };
}

/** What follows the tables: other instance types that would do, and what a disk of the highest tier costs. */
export function notesAfter({ answers: { task, answers }, chosen }: TaskPlacement): readonly string[] {
  const lines: string[] = [];
  const gpus = gpuText(chosen.offer);
  const types = new Map<string, Set<string>>();
  for (const answer of answers) {
    if (!asksForSame(task, answer.candidate, chosen)) continue;
    for (const { displayName, types: names } of answer.alternatives) {
      types.set(displayName, new Set([...(types.get(displayName) ?? []), ...names]));
    }
  }
  for (const [displayName, names] of gpus === undefined ? [] : types) {
    if (names.size < 2) continue;
    const cheapest = `${chosen.offer.useSpot ? "[spot]" : ""}(${hardwareText(chosen.offer, false)})`;
    const found = `🔍 Multiple ${displayName} instances satisfy ${gpus}. The cheapest ${cheapest} is considered among: ${[...names].join(", ")}.`;
    lines.push(dim(found));
  }
  if (lines.length > 0) lines.push(`To list more details, run: sky gpus list ${gpus?.split(":")[0]}`, "");
  if (task.resources.candidates[chosen.candidate]?.diskTier === "ultra") {
    lines.push(
      "Using disk_tier=ultra will utilize more advanced disks (io2 Block Express on AWS and extreme persistent disk on GCP), which can lead to significant higher costs (~$2/h).",
    );
  }
  return lines;
}

function asksForSame(task: Task, candidate: number, chosen: RankedOffer): boolean {
  const asked = task.resources.candidates[candidate]?.accelerators;
  const got = Object.entries(chosen.offer.resources.accelerators)[0];
  if (asked === undefined || got === undefined) return false;
  return asked.name.toLowerCase() === got[0].toLowerCase() && Math.abs(asked.count - got[1]) <= 0.01;
}
