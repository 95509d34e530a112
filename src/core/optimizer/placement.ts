/** Where the tasks of a DAG go, taken together: prices, run times, and data that moves between clouds. */

import type { OperationContext } from "../operation.ts";
import type { Task } from "../task/task.ts";
import type { Blocked } from "../provision/places.ts";
import type { RankedOffer } from "./candidates.ts";
import type { Target, TaskPlacement } from "./considered.ts";
import { cloudOfUri, egressSeconds, egressUsd } from "./egress.ts";
import { rankOffers, type Ranking } from "./optimize.ts";
import { rateOf } from "./rates.ts";
import { solve, type Move, type PlacementEdge } from "./solve.ts";

/** What a task takes whose run time nobody knows. */
const DEFAULT_HOURS = 1;
const SECONDS_PER_HOUR = 3600;

export interface TaskGraph {
  readonly tasks: readonly Task[];
  /** Pairs of positions in `tasks`: the first runs before the second. */
  readonly edges: readonly (readonly [number, number])[];
}

export interface PlaceOptions {
  readonly minimize: Target;
  /** Places that are left out for the task at a position. */
  readonly blocked?: (task: number) => readonly Blocked[];
  /** Hours that a task takes at a place; one hour where it is not known. */
  readonly hoursOf?: (task: Task, offer: RankedOffer) => number;
}

/** Data that leaves a cloud under the plan. */
export interface EgressRow {
  readonly source: string;
  readonly target: string;
  readonly gigabytes: number;
  readonly usd: number;
  readonly seconds: number;
}

export interface PlacedTask extends TaskPlacement {
  readonly ranking: Ranking;
}

export interface DagPlacement {
  readonly minimize: Target;
  readonly tasks: readonly PlacedTask[];
  readonly egress: readonly EgressRow[];
  /** What has to be said before the tables. */
  readonly notices: readonly string[];
}

/** Throws what `rankOffers` throws for the first task that no place can run. */
export async function placeDag(
  graph: TaskGraph,
  context: OperationContext,
  options: PlaceOptions,
): Promise<DagPlacement> {
  const rankings: Ranking[] = [];
  for (const [at, task] of graph.tasks.entries()) {
    rankings.push(await rankOffers(task, context, { blocked: options.blocked?.(at) ?? [] }));
  }
  const hoursOf = options.hoursOf ?? ((): number => DEFAULT_HOURS);
  const choices = rankings.map((ranking) => choosable(ranking));
  const picked = solve({
    minimize: options.minimize,
    tasks: graph.tasks.map((task, at) => (choices[at] ?? []).map((one) => toOption(one, task, hoursOf(task, one)))),
    edges: graph.edges.map(([from, to]) => toEdge(graph, [from, to])),
  });
  const tasks = rankings.map((ranking, at): PlacedTask => {
    const chosen = choices[at]?.[picked[at] ?? 0] ?? ranking.offers[0];
    if (chosen === undefined) throw new RangeError("A ranking without offers was not refused.");
    return { ranking, answers: ranking.answers, chosen, hours: (one) => hoursOf(ranking.answers.task, one) };
  });
  return {
    minimize: options.minimize,
    tasks,
    egress: egressOf(graph, tasks),
    notices: rankings.flatMap((ranking) => ranking.notices),
  };
}

/** In the order in which equals are preferred. Of a preference list the first candidate that fits anywhere decides. */
function choosable({ answers }: Ranking): readonly RankedOffer[] {
  const lists = answers.answers.map((answer) => answer.offers);
  if (answers.task.resources.kind !== "ordered") return lists.flat();
  return lists.find((offers) => offers.length > 0) ?? [];
}

function toOption(one: RankedOffer, task: Task, hours: number) {
  const fetch = inputMove(task, one.offer.cloud);
  return {
    place: one.offer.cloud,
    usd: rateOf(one.offer, task.numNodes) * hours + fetch.usd,
    hours: hours + fetch.hours,
  };
}

/** What it takes to bring the task's input out of the store where it is. */
function inputMove(task: Task, cloud: string): Move {
  const source = task.inputs === undefined ? undefined : cloudOfUri(task.inputs.uri);
  if (task.inputs === undefined || source === undefined || source === cloud) return { usd: 0, hours: 0 };
  return moveOf(source, task.inputs.gigabytes);
}

function toEdge(graph: TaskGraph, [from, to]: readonly [number, number]): PlacementEdge {
  const gigabytes = graph.tasks[from]?.outputs?.gigabytes ?? 0;
  return { from, to, move: (source) => moveOf(source, gigabytes) };
}

function moveOf(source: string, gigabytes: number): Move {
  return { usd: egressUsd(source, gigabytes), hours: egressSeconds(gigabytes) / SECONDS_PER_HOUR };
}

function egressOf(graph: TaskGraph, tasks: readonly PlacedTask[]): readonly EgressRow[] {
  const inputs = tasks.flatMap((placed): EgressRow[] => {
    const { task } = placed.answers;
    const source = task.inputs === undefined ? undefined : cloudOfUri(task.inputs.uri);
    if (task.inputs === undefined || source === undefined || source === placed.chosen.offer.cloud) return [];
    const { uri, gigabytes } = task.inputs;
    return [toRow(uri, placed, { source, gigabytes })];
  });
  const between = graph.edges.flatMap(([from, to]): EgressRow[] => {
    const [source, target] = [tasks[from], tasks[to]];
    const gigabytes = graph.tasks[from]?.outputs?.gigabytes ?? 0;
    if (source === undefined || target === undefined || gigabytes === 0) return [];
    const { cloud } = source.chosen.offer;
    return cloud === target.chosen.offer.cloud ? [] : [toRow(nameOf(source), target, { source: cloud, gigabytes })];
  });
  return [...inputs, ...between];
}

function toRow(
  source: string,
  target: PlacedTask,
  data: { readonly source: string; readonly gigabytes: number },
): EgressRow {
  const { gigabytes } = data;
  const usd = egressUsd(data.source, gigabytes);
  return { source, target: nameOf(target), gigabytes, usd, seconds: egressSeconds(gigabytes) };
}

function nameOf({ answers, chosen }: PlacedTask): string {
  return `${answers.task.name ?? "task"} (${chosen.displayName})`;
}
