/** A placement as plain data for the API. */

import { resolveAutostop, type AutostopFlags } from "../clusters/autostop-settings.ts";
import { isComplete, ratesOf, totalRate } from "../clusters/charges.ts";
import { DEFAULT_DISK_SIZE_GIB } from "../resources/resources.ts";
import type { BudgetOutlook, Plan, PlanCost, PlanOffer, PlanTask } from "../../shared/wire/plan.ts";
import type { RankedOffer } from "./candidates.ts";
import { infraText } from "./place-text.ts";
import type { DagPlacement, PlacedTask } from "./placement.ts";
import { rateOf, shownRate } from "./rates.ts";

export interface PlanOptions {
  /** Also every candidate and every place that was dropped. */
  readonly explain: boolean;
  readonly flags: AutostopFlags;
  readonly budgets: readonly BudgetOutlook[];
  /** What else is known of a place for a task, as a user reads it; e.g. `east-a refused 4 min ago: no capacity`. */
  readonly notesOn?: (task: number, offer: RankedOffer) => readonly string[];
}

export function toPlan(placement: DagPlacement, options: PlanOptions): Plan {
  const tasks = placement.tasks.map((placed, at) => toPlanTask(placed, at, options));
  return {
    minimize: placement.minimize,
    tasks,
    egress: [...placement.egress],
    usd_per_hour: hourlyUsd(placement),
    budgets: [...options.budgets],
  };
}

/** USD per hour of all tasks with disks and addresses, of what is known. */
export function hourlyUsd(placement: DagPlacement): number {
  return placement.tasks.reduce(
    (sum, { answers, chosen }) => sum + totalRate(ratesOf(chosen.offer, answers.task.numNodes)),
    0,
  );
}

function toPlanTask(placed: PlacedTask, at: number, options: PlanOptions): PlanTask {
  const { explain, flags, notesOn } = options;
  const { chosen, answers } = placed;
  const { task } = answers;
  const resources = task.resources.candidates[chosen.candidate];
  const autostop = resolveAutostop(flags, resources?.autostop);
  const isOn = autostop !== undefined && autostop.idleMinutes >= 0;
  return {
    name: task.name ?? null,
    num_nodes: task.numNodes,
    disk_gib: resources?.diskSizeGib ?? DEFAULT_DISK_SIZE_GIB,
    chosen: toPlanOffer(chosen, task.numNodes),
    cost: toPlanCost(chosen, task.numNodes),
    autostop: isOn ? { idle_minutes: autostop.idleMinutes, down: autostop.down } : null,
    ...(explain ? explained(placed, (offer) => notesOn?.(at, offer) ?? []) : {}),
  };
}

function toPlanOffer({ offer, displayName }: RankedOffer, numNodes: number): PlanOffer {
  const { cpus, memoryGib, accelerators } = offer.resources;
  return {
    infra: infraText(displayName, offer),
    cloud: offer.cloud,
    region: offer.region,
    zone: offer.zone,
    instance_type: offer.instanceType,
    cpus,
    memory: memoryGib,
    accelerators: { ...accelerators },
    use_spot: offer.useSpot,
    usd_per_hour: shownRate(offer, numNodes),
    priced_at: offer.pricedAt ?? null,
  };
}

function toPlanCost({ offer }: RankedOffer, numNodes: number): PlanCost {
  const rates = ratesOf(offer, numNodes);
  const stopped = ratesOf(offer, numNodes, "stopped");
  return {
    ...rates,
    total: totalRate(rates),
    is_complete: isComplete(rates),
    stopped: stopped.disks,
  };
}

function explained(
  placed: PlacedTask,
  notesOn: (offer: RankedOffer) => readonly string[],
): Pick<PlanTask, "candidates" | "notes" | "rejected"> {
  const { ranking, answers } = placed;
  const { numNodes } = answers.task;
  const common = commonNotes(ranking.offers, notesOn);
  const candidates = ranking.offers.map((one, at) => ({
    ...toPlanOffer(one, numNodes),
    rank: at + 1,
    note: joined(
      noteOn(one, { placed, isFirst: at === 0 }),
      ...notesOn(one).filter((note) => common.get(one.displayName)?.includes(note) !== true),
    ),
  }));
  const rejected = ranking.rejected.map(({ displayName, what, reason }) => ({ infra: displayName, what, reason }));
  const others = answers.enabled.filter((cloud) => !mentions(placed, cloud.displayName));
  const unasked = others.map(({ displayName }) => ({
    infra: displayName,
    what: "",
    reason: "the task asks for another infra",
  }));
  const notes = [...common].flatMap(([displayName, texts]) => texts.map((text) => `${displayName}: ${text}`));
  return { candidates, ...(notes.length === 0 ? {} : { notes }), rejected: [...rejected, ...unasked] };
}

/** Notes that every one of several places of a cloud would carry: said once. */
function commonNotes(
  offers: readonly RankedOffer[],
  notesOn: (offer: RankedOffer) => readonly string[],
): ReadonlyMap<string, readonly string[]> {
  const common = new Map<string, readonly string[]>();
  for (const [displayName, own] of Map.groupBy(offers, (one) => one.displayName)) {
    const [first = [], ...others] = own.map(notesOn);
    if (others.length > 0)
      common.set(
        displayName,
        first.filter((note) => others.every((each) => each.includes(note))),
      );
  }
  return common;
}

function joined(...notes: readonly (string | null)[]): string | null {
  const said = notes.filter((note) => note !== null);
  return said.length === 0 ? null : said.join("; ");
}

function mentions({ answers }: PlacedTask, displayName: string): boolean {
  return answers.answers.some(
    (answer) => answer.asked.includes(displayName) || answer.rejected.some((one) => one.displayName === displayName),
  );
}

/** Why a place that looks better than the chosen one is not it. */
function noteOn(
  one: RankedOffer,
  { placed, isFirst }: { readonly placed: PlacedTask; readonly isFirst: boolean },
): string | null {
  const { chosen, answers } = placed;
  if (one === chosen)
    return isFirst ? "chosen" : "chosen: with the data that it would have to move, another place costs more";
  const isCheaper = rateOf(one.offer, answers.task.numNodes) < rateOf(chosen.offer, answers.task.numNodes);
  if (answers.task.resources.kind === "ordered" && one.candidate > chosen.candidate && isCheaper) {
    return "cheaper, but later in the list of preferences";
  }
  if (isCheaper) return "cheaper, but moving the data there costs more";
  const reserved = one.offer.prepaidNodes ?? 0;
  return reserved > 0 ? `${reserved} node(s) are paid for by a reservation` : null;
}
