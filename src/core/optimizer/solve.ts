/** Which option each task of a DAG gets, so that the whole costs least or ends first. Pure. */

import { eliminate } from "./eliminate.ts";
import { fastest } from "./fastest.ts";
import type { Choice, ReducedProblem, Total } from "./reduced-problem.ts";

export interface PlacementOption {
  /** Data moves free of charge and at once between options of the same place. */
  readonly place: string;
  readonly usd: number;
  readonly hours: number;
}

export interface PlacementEdge {
  readonly from: number;
  readonly to: number;
  /** What moving the edge's data from one place to a different one takes. */
  readonly move: (from: string, to: string) => Move;
}

export interface Move {
  readonly usd: number;
  readonly hours: number;
}

export interface PlacementProblem {
  /** The options of each task in the order of preference among equals; every task has one at least. */
  readonly tasks: readonly (readonly PlacementOption[])[];
  /** Acyclic. */
  readonly edges: readonly PlacementEdge[];
  readonly minimize: "cost" | "time";
}

/**
 * Picks an option for each task: exactly the least USD in total, or the earliest end and among equal ends the least USD. Of equal
 * plans the one with the earlier options is taken.
 */
export function solve(problem: PlacementProblem): readonly number[] {
  const reduced = reduce(problem);
  const isSum = problem.minimize === "cost" || isChain(problem);
  const picked = isSum ? eliminate(reduced) : fastest(reduced);
  return picked.map((choice, task) => reduced.tasks[task]?.[choice]?.option ?? 0);
}

/** What tasks and moves add up to is decided by places alone, so a task keeps those options that none of the same place beats. */
function reduce(problem: PlacementProblem): ReducedProblem {
  const { minimize } = problem;
  const toTotal = ({ usd, hours }: Move): Total => (minimize === "cost" ? [usd, 0] : [hours, usd]);
  return {
    tasks: problem.tasks.map((options) => unbeaten(options, toTotal)),
    edges: problem.edges.map(({ from, to, move }) => ({ from, to, move: (a, b) => toTotal(move(a, b)) })),
  };
}

function unbeaten(options: readonly PlacementOption[], toTotal: (option: Move) => Total): readonly Choice[] {
  const byPlace = new Map<string, Choice[]>();
  options.forEach((option, position) => {
    const choice: Choice = { place: option.place, total: toTotal(option), option: position };
    const rivals = byPlace.get(option.place) ?? [];
    if (rivals.some(({ total }) => total[0] <= choice.total[0] && total[1] <= choice.total[1])) return;
    const kept = rivals.filter(({ total }) => !(choice.total[0] <= total[0] && choice.total[1] <= total[1]));
    byPlace.set(option.place, [...kept, choice]);
  });
  return [...byPlace.values()].flat().sort((a, b) => a.option - b.option);
}

/** Every task has one predecessor and one successor at most, and all are connected: then times add up, too. */
function isChain(problem: PlacementProblem): boolean {
  const count = problem.tasks.length;
  const ins = new Set(problem.edges.map(({ to }) => to));
  const outs = new Set(problem.edges.map(({ from }) => from));
  const { length } = problem.edges;
  return length === count - 1 && ins.size === length && outs.size === length;
}
