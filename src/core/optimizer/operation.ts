import type { OptimizeBody } from "../clusters/bodies.ts";
import { budgetOutlook } from "../budgets/outlook.ts";
import type { Plan } from "../../shared/wire/plan.ts";
import { cloudContext } from "../clusters/cluster.ts";
import { recallRefusals, whatIsKnownOf } from "../provision/capacity-memory.ts";
import { toPlaces } from "../provision/places.ts";
import type { RankedOffer } from "./candidates.ts";
import type { Operation, OperationContext } from "../operation.ts";
import { parseTaskYaml } from "../task/parse.ts";
import { catalogFacts } from "./catalog-facts.ts";
import type { Dag } from "../task/task.ts";
import { placeWithinLimits, type LimitedPlacement } from "./limits.ts";
import { placeDag, type DagPlacement, type PlacedTask, type PlaceOptions, type TaskGraph } from "./placement.ts";
import { hourlyUsd, toPlan, type PlanOptions } from "./plan-object.ts";
import { planLines } from "./plan-lines.ts";

/** As placeDag; a plan that is to be explained takes the clouds' own limits into account. */
export async function placeForPlan(
  graph: TaskGraph,
  context: OperationContext,
  options: PlaceOptions & { readonly explain: boolean },
): Promise<PlannedPlacement> {
  const { explain, ...rest } = options;
  return explain ? placeWithinLimits(graph, context, rest) : { placement: await placeDag(graph, context, rest) };
}

/** The limits' notes are there when they were asked for. */
export type PlannedPlacement = Pick<LimitedPlacement, "placement"> & Partial<LimitedPlacement>;

/** The plan as data, with what it does to the caller's budgets. */
export async function describePlan(
  { placement, limitNotes }: PlannedPlacement,
  options: Omit<PlanOptions, "budgets" | "notesOn">,
  context: OperationContext,
): Promise<Plan> {
  const usdPerHour = hourlyUsd(placement);
  const labels = Object.assign({}, ...placement.tasks.map((placed) => labelsOf(placed))) as Record<string, string>;
  const budgets = await budgetOutlook({ labels, usdPerHour }, context);
  const memoryOf = options.explain ? await readMemory(placement, context) : undefined;
  const notesOn: PlanOptions["notesOn"] = (task, one) => [
    ...(memoryOf?.(one) ?? []),
    ...(limitNotes?.(task, one) ?? []),
  ];
  return toPlan(placement, { ...options, budgets, notesOn });
}

const MINUTE_MS = 60_000;

/** What earlier launches were told by the places of a plan; a launch tries those last. */
async function readMemory(
  placement: DagPlacement,
  context: OperationContext,
): Promise<(offer: RankedOffer) => readonly string[]> {
  const offers = placement.tasks.flatMap(({ ranking }) => ranking.offers);
  const memory = await recallRefusals(offers, context, cloudContext(context));
  const now = context.clock.now();
  return (offer) => {
    const refused = toPlaces(offer).flatMap((place) => {
      const known = whatIsKnownOf(place, memory);
      return known === undefined ? [] : [{ zone: place.offer.zone ?? place.offer.region, known }];
    });
    const [first] = refused;
    if (first === undefined) return [];
    const minutes = Math.round((now - first.known.refusedAt) / MINUTE_MS);
    const ago = minutes < 1 ? "less than a minute ago" : `${minutes} min ago`;
    return [`${refused.map(({ zone }) => zone).join(", ")} refused ${ago} and is tried last: ${first.known.reason}`];
  };
}

export function labelsOf({ answers, chosen }: PlacedTask): Readonly<Record<string, string>> {
  return answers.task.resources.candidates[chosen.candidate]?.labels ?? {};
}

/** `sky launch` without `-y` shows the plan before it asks. */
export const optimizeOperation: Operation<OptimizeBody, Plan> = {
  name: "optimizer.optimize",
  wireName: "optimize",
  schedule: "short",
  isResumable: false,
  run: async (body, context) => {
    const dag = parseTaskYaml(body.dag, {
      side: "server",
      facts: catalogFacts(context.catalogs),
      warn: (message) => context.log.line(message),
    });
    const minimize = body.minimize === 1 ? "time" : "cost";
    const { explain = false } = body;
    const planned = await placeForPlan(graphOf(dag), context, { minimize, explain });
    context.log.line(planLines(planned.placement).join("\n"));
    return describePlan(planned, { explain, flags: body.request_options ?? {} }, context);
  },
};

/** The tasks of a pipeline run one after the other, those of a job group side by side. */
function graphOf(dag: Dag): TaskGraph {
  const isSerial = dag.execution === "serial";
  const edges = dag.tasks.flatMap((_, at): [number, number][] => (at === 0 || !isSerial ? [] : [[at - 1, at]]));
  return { tasks: dag.tasks, edges };
}
