import { array, assert, constantFrom, nat, option, property, record, type Arbitrary } from "fast-check";
import { expect, test } from "vitest";
import { solve, type PlacementEdge, type PlacementProblem } from "./solve.ts";

const PLACES = ["aws", "gcp", "azure"];

interface Drawn {
  readonly tasks: readonly (readonly { readonly place: number; readonly usd: number; readonly hours: number }[])[];
  /** For each pair of tasks, gigabytes or nothing. */
  readonly edges: readonly (number | null)[];
  readonly minimize: "cost" | "time";
}

const drawn: Arbitrary<Drawn> = record({
  tasks: array(
    array(
      record({
        place: nat({ max: 2 }),
        usd: nat({ max: 12 }),
        hours: nat({ max: 5 }),
      }),
      { minLength: 1, maxLength: 4 },
    ),
    { minLength: 1, maxLength: 5 },
  ),
  edges: array(option(nat({ max: 6 })), { minLength: 10, maxLength: 10 }),
  minimize: constantFrom("cost", "time"),
});

function toProblem({ tasks, edges, minimize }: Drawn): PlacementProblem {
  const pairs = tasks.flatMap((_, to) => Array.from({ length: to }, (__, from) => ({ from, to })));
  return {
    minimize,
    tasks: tasks.map((options) => options.map((one) => ({ ...one, place: PLACES[one.place] ?? "aws" }))),
    edges: pairs.flatMap(({ from, to }, at): PlacementEdge[] => {
      const gigabytes = edges[at];
      if (gigabytes === null || gigabytes === undefined) return [];
      // Dearer out of one place than out of another.
      const move = (source: string): { usd: number; hours: number } => ({
        usd: gigabytes * (1 + PLACES.indexOf(source)),
        hours: gigabytes / 4,
      });
      return [{ from, to, move }];
    }),
  };
}

/** [USD] or [hours, USD] of a plan, computed the long way. */
function totalOf(problem: PlacementProblem, picked: readonly number[]): readonly [number, number] {
  let usd = 0;
  const ends: number[] = [];
  problem.tasks.forEach((options, task) => {
    const option = options[picked[task] ?? 0];
    if (option === undefined) throw new RangeError("picked an option that is not there");
    let start = 0;
    usd += option.usd;
    for (const edge of problem.edges.filter(({ to }) => to === task)) {
      const source = problem.tasks[edge.from]?.[picked[edge.from] ?? 0];
      const isMoved = source !== undefined && source.place !== option.place;
      const move = isMoved ? edge.move(source.place, option.place) : { usd: 0, hours: 0 };
      usd += move.usd;
      start = Math.max(start, (ends[edge.from] ?? 0) + move.hours);
    }
    ends[task] = start + option.hours;
  });
  return problem.minimize === "cost" ? [usd, 0] : [Math.max(...ends), usd];
}

function* allPlans(sizes: readonly number[]): Generator<readonly number[]> {
  const [first, ...rest] = sizes;
  if (first === undefined) return yield [];
  for (let value = 0; value < first; value++) for (const others of allPlans(rest)) yield [value, ...others];
}

function bruteForce(problem: PlacementProblem): readonly [number, number] {
  let best: readonly [number, number] = [Infinity, Infinity];
  for (const plan of allPlans(problem.tasks.map((options) => options.length))) {
    const total = totalOf(problem, plan);
    if (total[0] < best[0] || (total[0] === best[0] && total[1] < best[1])) best = total;
  }
  return best;
}

test("no plan of any DAG is cheaper, or earlier at its end, than the one it gives", () => {
  assert(
    property(drawn, (one) => {
      const problem = toProblem(one);
      expect(totalOf(problem, solve(problem))).toEqual(bruteForce(problem));
    }),
    { numRuns: 400 },
  );
});

test("of equal options the first is taken", () => {
  const same = { place: "aws", usd: 1, hours: 1 };
  for (const minimize of ["cost", "time"] as const) {
    expect(
      solve({ tasks: [[{ ...same, usd: 2 }, same, same, { ...same, place: "gcp" }]], edges: [], minimize }),
    ).toEqual([1]);
  }
});

test("data keeps a task on the cloud where it is, until moving is the cheaper", () => {
  const cheaperElsewhere = [
    { place: "aws", usd: 10, hours: 1 },
    { place: "gcp", usd: 4, hours: 1 },
  ];
  const plan = (egressUsd: number): readonly number[] =>
    solve({
      tasks: [[{ place: "aws", usd: 1, hours: 1 }], cheaperElsewhere],
      edges: [{ from: 0, to: 1, move: () => ({ usd: egressUsd, hours: 0 }) }],
      minimize: "cost",
    });
  expect(plan(7)).toEqual([0, 0]);
  expect(plan(5)).toEqual([0, 1]);
});

test.each(["cost", "time"] as const)(
  "1,000 candidates for each of 10 tasks are solved, no dearer than each task's best by itself with its moves (%s)",
  (minimize) => {
    const places = ["aws", "gcp", "azure", "oci", "kubernetes"];
    const tasks = Array.from({ length: 10 }, (_, task) =>
      Array.from({ length: 1000 }, (__, at) => ({
        place: places[at % places.length] ?? "aws",
        usd: ((at * 7919 + task * 104_729) % 1000) / 100,
        hours: 1 + ((at * 31 + task * 17) % 7) / 10,
      })),
    );
    const move = (from: string): { usd: number; hours: number } => ({ usd: from.length / 10, hours: 0.1 });
    const edges = tasks.flatMap((_, to) =>
      to === 0 ? [] : [...new Set([Math.floor((to - 1) / 2), to - 1])].map((from) => ({ from, to, move })),
    );
    const problem: PlacementProblem = { tasks, edges, minimize };
    const alone = tasks.map((options) =>
      options.reduce((best, option, at) => (option.usd < (options[best]?.usd ?? Infinity) ? at : best), 0),
    );
    const [picked, greedy] = [totalOf(problem, solve(problem)), totalOf(problem, alone)];
    expect(picked[0]).toBeLessThanOrEqual(greedy[0]);
  },
);
