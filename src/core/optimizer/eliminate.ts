import { addTotals, compareTotals, type ReducedProblem, type Total } from "./reduced-problem.ts";

/** A part of the objective: a total for each combination of choices of its tasks. */
interface Factor {
  readonly tasks: readonly number[];
  readonly of: (picked: readonly number[]) => Total;
}

interface Step {
  readonly task: number;
  readonly neighbours: readonly number[];
  /** Best choice of `task` for each combination of the neighbours' choices. */
  readonly best: ReadonlyMap<string, number>;
}

const ZERO: Total = [0, 0];

/**
 * Exact minimum of a sum over tasks and edges. Tasks are taken out one by one, those with the fewest neighbours first, each leaving a
 * table of what it adds for every combination of its neighbours: on chains and trees this is dynamic programming, linear in the
 * tasks; on other DAGs it is exponential only in how many tasks hang together at once.
 */
export function eliminate(problem: ReducedProblem): readonly number[] {
  let factors: Factor[] = [...unaryFactors(problem), ...pairFactors(problem)];
  const left = new Set(problem.tasks.keys());
  const steps: Step[] = [];
  while (left.size > 0) {
    const task = leastConnected(left, factors);
    const mine = factors.filter((factor) => factor.tasks.includes(task));
    const neighbours = neighboursOf(task, mine);
    const { best, totals } = tabulate({ task, neighbours, factors: mine }, problem);
    steps.push({ task, neighbours, best });
    factors = factors.filter((factor) => !factor.tasks.includes(task));
    factors.push({ tasks: neighbours, of: (picked) => totals.get(keyOf(neighbours, picked)) ?? ZERO });
    left.delete(task);
  }
  const picked: number[] = problem.tasks.map(() => 0);
  for (const { task, neighbours, best } of steps.reverse()) picked[task] = best.get(keyOf(neighbours, picked)) ?? 0;
  return picked;
}

function unaryFactors(problem: ReducedProblem): readonly Factor[] {
  return problem.tasks.map((choices, task) => ({
    tasks: [task],
    of: (picked) => choices[picked[task] ?? 0]?.total ?? ZERO,
  }));
}

/** Edges on which nothing can ever be paid connect nothing. */
function pairFactors(problem: ReducedProblem): readonly Factor[] {
  return problem.edges.flatMap(({ from, to, move }) => {
    const [sources, targets] = [problem.tasks[from] ?? [], problem.tasks[to] ?? []];
    const table = sources.map((a) => targets.map((b) => (a.place === b.place ? ZERO : move(a.place, b.place))));
    if (table.every((row) => row.every((total) => total[0] === 0 && total[1] === 0))) return [];
    const of = (picked: readonly number[]): Total => table[picked[from] ?? 0]?.[picked[to] ?? 0] ?? ZERO;
    return [{ tasks: [from, to], of }];
  });
}

function leastConnected(left: ReadonlySet<number>, factors: readonly Factor[]): number {
  let best: { readonly task: number; readonly degree: number } | undefined;
  for (const task of left) {
    const degree = neighboursOf(
      task,
      factors.filter((factor) => factor.tasks.includes(task)),
    ).length;
    if (best === undefined || degree < best.degree) best = { task, degree };
  }
  return best?.task ?? 0;
}

function neighboursOf(task: number, factors: readonly Factor[]): readonly number[] {
  return [...new Set(factors.flatMap((factor) => factor.tasks))].filter((one) => one !== task).sort((a, b) => a - b);
}

function tabulate(
  step: { readonly task: number; readonly neighbours: readonly number[]; readonly factors: readonly Factor[] },
  problem: ReducedProblem,
): { readonly best: Map<string, number>; readonly totals: Map<string, Total> } {
  const { task, neighbours, factors } = step;
  const best = new Map<string, number>();
  const totals = new Map<string, Total>();
  const sizes = neighbours.map((one) => problem.tasks[one]?.length ?? 0);
  const picked: number[] = problem.tasks.map(() => 0);
  for (const combination of combinations(sizes)) {
    neighbours.forEach((one, at) => (picked[one] = combination[at] ?? 0));
    const key = keyOf(neighbours, picked);
    for (let choice = 0; choice < (problem.tasks[task]?.length ?? 0); choice++) {
      picked[task] = choice;
      const total = factors.reduce((sum, factor) => addTotals(sum, factor.of(picked)), ZERO);
      const known = totals.get(key);
      if (known !== undefined && compareTotals(total, known) >= 0) continue;
      best.set(key, choice);
      totals.set(key, total);
    }
  }
  return { best, totals };
}

function keyOf(tasks: readonly number[], picked: readonly number[]): string {
  return tasks.map((task) => picked[task]).join(",");
}

function* combinations(sizes: readonly number[]): Generator<readonly number[]> {
  const [first, ...rest] = sizes;
  if (first === undefined) {
    yield [];
    return;
  }
  for (let value = 0; value < first; value++) {
    for (const others of combinations(rest)) yield [value, ...others];
  }
}
