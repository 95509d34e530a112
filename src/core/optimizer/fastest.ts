import { compareTotals, type Choice, type ReducedProblem, type Total } from "./reduced-problem.ts";

interface Graph {
  readonly problem: ReducedProblem;
  /** Every task after its predecessors. */
  readonly order: readonly number[];
  /** Hours from the start of a task to the end of the DAG if it and all after it ran as fast as they can, on one place. */
  readonly tails: readonly number[];
  /** Least USD of the tasks at this position of the order and after it. */
  readonly leastUsd: readonly number[];
}

interface Search {
  readonly picked: number[];
  readonly ends: number[];
  best: { readonly total: Total; readonly picked: readonly number[] } | undefined;
}

/**
 * Exact earliest end of a DAG whose tasks run side by side, and among equal ends the least USD: branch and bound in topological
 * order. A branch is left as soon as its longest path, with everything that is open at its fastest, is no better than the best plan.
 */
export function fastest(problem: ReducedProblem): readonly number[] {
  const graph = makeGraph(problem);
  const search: Search = { picked: problem.tasks.map(() => 0), ends: problem.tasks.map(() => 0), best: undefined };
  branch(graph, search, { at: 0, end: 0, usd: 0 });
  return search.best?.picked ?? search.picked;
}

interface Branch {
  /** Position in the order of the task to place. */
  readonly at: number;
  /** Hours until the end of the DAG, at least. */
  readonly end: number;
  readonly usd: number;
}

function branch(graph: Graph, search: Search, { at, end, usd }: Branch): void {
  const { order } = graph;
  const task = order[at];
  if (task === undefined) {
    search.best = { total: [end, usd], picked: [...search.picked] };
    return;
  }
  for (const next of sortedChoices(graph, search, task)) {
    const bound = Math.max(end, next.start + next.choice.total[0] + tailAfter(graph, task));
    const cost = usd + next.usd;
    const least: Total = [bound, cost + (graph.leastUsd[at + 1] ?? 0)];
    if (search.best !== undefined && compareTotals(least, search.best.total) >= 0) continue;
    search.picked[task] = next.position;
    search.ends[task] = next.start + next.choice.total[0];
    branch(graph, search, { at: at + 1, end: bound, usd: cost });
  }
}

interface Placed {
  readonly choice: Choice;
  readonly position: number;
  /** Hours until the task's data is there. */
  readonly start: number;
  /** Of the task and of the data that moves to it. */
  readonly usd: number;
}

/** The most promising first, so that a good plan is known early. */
function sortedChoices(graph: Graph, search: Search, task: number): readonly Placed[] {
  const placed = (graph.problem.tasks[task] ?? []).map((choice, position) =>
    place(graph, search, { task, choice, position }),
  );
  const total = ({ start, choice, usd }: Placed): Total => [start + choice.total[0], usd];
  return placed.sort((a, b) => compareTotals(total(a), total(b)));
}

function place(
  graph: Graph,
  search: Search,
  { task, choice, position }: { readonly task: number; readonly choice: Choice; readonly position: number },
): Placed {
  let start = 0;
  let usd = choice.total[1];
  for (const { from, to, move } of graph.problem.edges) {
    if (to !== task) continue;
    const source = graph.problem.tasks[from]?.[search.picked[from] ?? 0];
    const cost: Total =
      source === undefined || source.place === choice.place ? [0, 0] : move(source.place, choice.place);
    start = Math.max(start, (search.ends[from] ?? 0) + cost[0]);
    usd += cost[1];
  }
  return { choice, position, start, usd };
}

function makeGraph(problem: ReducedProblem): Graph {
  const order = topologicalOrder(problem);
  const graph: Graph & { readonly tails: number[]; readonly leastUsd: number[] } = {
    problem,
    order,
    tails: problem.tasks.map(() => 0),
    leastUsd: [...order.map(() => 0), 0],
  };
  for (const task of [...order].reverse()) {
    const hours = Math.min(...(problem.tasks[task] ?? []).map(({ total }) => total[0]));
    graph.tails[task] = hours + tailAfter(graph, task);
  }
  for (let at = order.length - 1; at >= 0; at--) {
    const usd = Math.min(...(problem.tasks[order[at] ?? 0] ?? []).map(({ total }) => total[1]));
    graph.leastUsd[at] = usd + (graph.leastUsd[at + 1] ?? 0);
  }
  return graph;
}

function tailAfter(graph: Pick<Graph, "problem" | "tails">, task: number): number {
  const after = graph.problem.edges.filter(({ from }) => from === task).map(({ to }) => graph.tails[to] ?? 0);
  return Math.max(0, ...after);
}

function topologicalOrder(problem: ReducedProblem): readonly number[] {
  const order: number[] = [];
  const seen = new Set<number>();
  const visit = (task: number): void => {
    if (seen.has(task)) return;
    seen.add(task);
    for (const { from, to } of problem.edges) if (to === task) visit(from);
    order.push(task);
  };
  for (const task of problem.tasks.keys()) visit(task);
  return order;
}
