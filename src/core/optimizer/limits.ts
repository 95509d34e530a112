/** What the clouds' own limits, such as quotas, say of a plan; asked only when somebody wants to know why a task goes where it goes. */

import { cloudContext } from "../clusters/cluster.ts";
import type { OperationContext } from "../operation.ts";
import type { Offer, OfferLimit } from "../ports/cloud.ts";
import type { Blocked } from "../provision/places.ts";
import type { RankedOffer } from "./candidates.ts";
import { placeDag, type DagPlacement, type PlaceOptions, type TaskGraph } from "./placement.ts";

export interface LimitedPlacement {
  readonly placement: DagPlacement;
  /** What could not be found out about a place for the task at this position. */
  readonly limitNotes: (task: number, one: RankedOffer) => readonly string[];
}

/** As placeDag, but without the places that would refuse now. Throws what placeDag throws, with the refusals as reasons. */
export async function placeWithinLimits(
  graph: TaskGraph,
  context: OperationContext,
  options: PlaceOptions,
): Promise<LimitedPlacement> {
  const first = await placeDag(graph, context, options);
  const limits = await Promise.all(
    first.tasks.map(({ ranking, answers }) => askLimits(ranking.offers, answers.task.numNodes, context)),
  );
  const limitNotes: LimitedPlacement["limitNotes"] = (task, { offer }) =>
    limits[task]?.find((one) => isSamePlace(one.offer, offer))?.limit.notes ?? [];
  const refused = limits.map((ofTask) => ofTask.flatMap(toBlocked));
  if (refused.every((ofTask) => ofTask.length === 0)) return { placement: first, limitNotes };
  const blocked = (task: number): readonly Blocked[] => [...(options.blocked?.(task) ?? []), ...(refused[task] ?? [])];
  return { placement: await placeDag(graph, context, { ...options, blocked }), limitNotes };
}

interface Limited {
  readonly offer: Offer;
  readonly limit: OfferLimit;
}

async function askLimits(
  ranked: readonly RankedOffer[],
  numNodes: number,
  context: OperationContext,
): Promise<readonly Limited[]> {
  const byCloud = Map.groupBy(ranked, ({ offer }) => offer.cloud);
  const found = await Promise.all(
    [...byCloud].map(async ([name, ofCloud]): Promise<readonly Limited[]> => {
      const cloud = await context.clouds.load(name);
      const offers = ofCloud.map(({ offer }) => offer);
      const limits = (await cloud.limits?.({ offers, numNodes }, cloudContext(context))) ?? [];
      return limits.flatMap((limit, at) => {
        const offer = offers[at];
        return offer === undefined ? [] : [{ offer, limit }];
      });
    }),
  );
  return found.flat();
}

function toBlocked({ offer, limit }: Limited): readonly Blocked[] {
  if (limit.refusal === undefined) return [];
  const { cloud, region, zone, instanceType, useSpot } = offer;
  const block = { cloud, region, ...(zone === null ? {} : { zone }), instanceType, useSpot };
  return [{ block, reason: limit.refusal }];
}

const OF_PLACE = ["cloud", "region", "zone", "instanceType", "useSpot"] as const;

function isSamePlace(one: Offer, other: Offer): boolean {
  return OF_PLACE.every((field) => one[field] === other[field]);
}
