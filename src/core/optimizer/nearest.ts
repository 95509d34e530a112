/** Which single wish of an infeasible request stands in the way. */

import { cloudContext } from "../clusters/cluster.ts";
import { hourly } from "../../shared/money.ts";
import type { OperationContext } from "../operation.ts";
import type { Cloud, Offer, OfferRequest } from "../ports/cloud.ts";
import { formatResources } from "../resources/format.ts";
import type { TaskAnswers } from "./candidates.ts";
import { infraText, instanceText } from "./place-text.ts";
import { rateOf } from "./rates.ts";
import { toOfferRequest } from "./request.ts";

const OPTIONAL = ["cpus", "memory", "localDisk", "maxUsdPerHour", "zone", "instanceType", "imageId"] as const;

/** The request without one of its wishes, and how the user calls that wish. */
interface Relaxed {
  readonly wish: string;
  readonly request: OfferRequest;
}

interface Match {
  readonly cloud: Cloud;
  readonly offer: Offer;
}

const NAMES: Readonly<Record<(typeof OPTIONAL)[number], string>> = {
  cpus: "cpus",
  memory: "memory",
  localDisk: "local_disk",
  maxUsdPerHour: "max_hourly_cost",
  zone: "the zone",
  instanceType: "instance_type",
  imageId: "image_id",
};

/** For each candidate that nothing satisfies: the wishes without any one of which it fits, each with the cheapest match. */
export async function nearestMatches(asked: TaskAnswers, context: OperationContext): Promise<readonly string[]> {
  const { task, answers, enabled } = asked;
  const lines: string[] = [];
  for (const answer of answers) {
    const resources = task.resources.candidates[answer.candidate];
    const clouds = enabled.filter((cloud) => answer.asked.includes(cloud.displayName));
    if (resources === undefined || clouds.length === 0) continue;
    for (const relaxed of relaxations(toOfferRequest(resources, task.numNodes))) {
      const match = await cheapest(relaxed.request, clouds, context);
      if (match === undefined) continue;
      lines.push(`${formatResources(resources)}: ${matchText(relaxed.wish, match, task.numNodes)}`);
    }
  }
  return lines;
}

function relaxations(request: OfferRequest): readonly Relaxed[] {
  const relaxed: Relaxed[] = OPTIONAL.filter((key) => request[key] !== undefined).map((key) => {
    const { [key]: _, ...rest } = request;
    return { wish: NAMES[key], request: rest };
  });
  if (request.region !== undefined) {
    const { region: _, zone: __, ...rest } = request;
    relaxed.push({ wish: "the region", request: rest });
  }
  if (request.useSpot) relaxed.push({ wish: "use_spot", request: { ...request, useSpot: false } });
  return relaxed;
}

async function cheapest(
  request: OfferRequest,
  clouds: readonly Cloud[],
  context: OperationContext,
): Promise<Match | undefined> {
  const sets = await Promise.all(
    clouds.map(async (cloud) => ({ cloud, set: await cloud.offers(request, cloudContext(context)) })),
  );
  const limit = request.maxUsdPerHour ?? Infinity;
  const matches = sets.flatMap(({ cloud, set }) =>
    set.offers.filter((offer) => (offer.priceUsdPerHour ?? 0) <= limit).map((offer) => ({ cloud, offer })),
  );
  return matches.sort((a, b) => rateOf(a.offer, request.numNodes) - rateOf(b.offer, request.numNodes))[0];
}

function matchText(wish: string, { cloud, offer }: Match, numNodes: number): string {
  const price = offer.priceUsdPerHour === null ? "an unknown price" : hourly(offer.priceUsdPerHour * numNodes);
  const instance = instanceText(offer) === "-" ? offer.instanceType : instanceText(offer);
  return `without ${wish} it fits ${instance} on ${infraText(cloud.displayName, offer)} at ${price}`;
}
