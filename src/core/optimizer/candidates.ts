/** Asks the enabled clouds where each candidate of a task could run. */

import { requireEnabledClouds } from "../check/clouds.ts";
import { cloudContext } from "../clusters/cluster.ts";
import type { OperationContext } from "../operation.ts";
import type { Cloud, Offer } from "../ports/cloud.ts";
import { dockerImageOf, imageRegionsOf } from "../resources/image.ts";
import type { Resources } from "../resources/resources.ts";
import type { Task } from "../task/task.ts";
import { whatBlocks, type Blocked } from "../provision/places.ts";
import { cloudKeyOf, toOfferRequest } from "./request.ts";

/** A place that can run the task, for one of its candidates. */
export interface RankedOffer {
  /** Position of the candidate in the task's list. */
  readonly candidate: number;
  readonly offer: Offer;
  readonly displayName: string;
}

export interface Rejection {
  readonly candidate: number;
  readonly displayName: string;
  readonly what: string;
  readonly reason: string;
}

/** What the clouds say to one candidate of a task. */
export interface CandidateAnswer {
  readonly candidate: number;
  /** Display names of the clouds that were asked, in their order. */
  readonly asked: readonly string[];
  /** In the order of the clouds and of each cloud's preference. */
  readonly offers: readonly RankedOffer[];
  readonly rejected: readonly Rejection[];
  readonly suggestions: readonly string[];
  /** Instance types with the accelerators asked for, by cloud. */
  readonly alternatives: readonly { readonly displayName: string; readonly types: readonly string[] }[];
}

/** The answers to every candidate of one task, in the candidates' order. */
export interface TaskAnswers {
  readonly task: Task;
  readonly answers: readonly CandidateAnswer[];
  readonly enabled: readonly Cloud[];
}

/** Throws NoCloudAccessError when no cloud is enabled. */
export async function askForTask(
  task: Task,
  context: OperationContext,
  blocked: readonly Blocked[] = [],
): Promise<TaskAnswers> {
  const { candidates } = task.resources;
  const enabled = await requireEnabledClouds(context, candidates.map(cloudKeyOf));
  const answers = await Promise.all(
    candidates.map((resources, candidate) => askClouds({ task, resources, candidate, blocked }, enabled, context)),
  );
  return { task, answers, enabled };
}

interface Question {
  readonly task: Task;
  readonly resources: Resources;
  readonly candidate: number;
  readonly blocked: readonly Blocked[];
}

async function askClouds(
  question: Question,
  enabled: readonly Cloud[],
  context: OperationContext,
): Promise<CandidateAnswer> {
  const { task, resources, candidate, blocked } = question;
  const { asked, passedOver } = cloudsFor(resources, enabled);
  const request = toOfferRequest(resources, task.numNodes);
  const sets = await Promise.all(
    asked.map(async (cloud) => ({ cloud, set: await cloud.offers(request, cloudContext(context)) })),
  );
  const container = dockerImageOf(resources);
  const found = sets.flatMap(({ cloud: { displayName }, set }) =>
    set.offers.map((offer) => ({
      candidate,
      offer: container === undefined ? offer : { ...offer, container },
      displayName,
    })),
  );
  const limit = request.maxUsdPerHour ?? Infinity;
  const imageRegions = imageRegionsOf(resources);
  const verdicts = found.map((one) => ({ one, reason: whyNot(one.offer, { limit, blocked, imageRegions }) }));
  return {
    candidate,
    asked: asked.map((cloud) => cloud.displayName),
    offers: verdicts.flatMap(({ one, reason }) => (reason === undefined ? [one] : [])),
    rejected: [
      ...sets.flatMap(({ cloud: { displayName }, set }) =>
        set.rejected.map((one) => ({ candidate, displayName, ...one })),
      ),
      ...verdicts.flatMap(({ one, reason }) => (reason === undefined ? [] : [toRejection(one, reason)])),
      ...passedOver.map((cloud) => ({
        candidate,
        displayName: cloud.displayName,
        what: "",
        reason: notUnasked(cloud),
      })),
    ],
    suggestions: sets.flatMap(({ set }) => set.suggestions),
    alternatives: sets.map(({ cloud: { displayName }, set }) => ({ displayName, types: set.alternatives ?? [] })),
  };
}

/** The cloud that the candidate names, else those that may be used unnamed. */
function cloudsFor(
  resources: Resources,
  enabled: readonly Cloud[],
): { readonly asked: readonly Cloud[]; readonly passedOver: readonly Cloud[] } {
  const key = cloudKeyOf(resources);
  if (key !== undefined) return { asked: enabled.filter((cloud) => cloud.name === key), passedOver: [] };
  const always = enabled.filter((cloud) => cloud.unnamedUse === undefined);
  const asked = always.length > 0 ? always : enabled.filter((cloud) => cloud.unnamedUse === "alone");
  return { asked, passedOver: enabled.filter((cloud) => !asked.includes(cloud)) };
}

function notUnasked(cloud: Cloud): string {
  return `is used only when it is asked for: --infra ${cloud.name}`;
}

interface Limits {
  readonly limit: number;
  readonly blocked: readonly Blocked[];
  /** Undefined = all. */
  readonly imageRegions: readonly string[] | undefined;
}

function whyNot(offer: Offer, { limit, blocked, imageRegions }: Limits): string | undefined {
  if (imageRegions !== undefined && !imageRegions.includes(offer.region)) {
    return `image_id names no image for ${offer.region} (it does for ${imageRegions.join(", ")})`;
  }
  const price = offer.priceUsdPerHour;
  if ((price ?? 0) > limit) return `costs $${price}/hr, more than max_hourly_cost ($${limit}/hr)`;
  return whatBlocks(offer, blocked)?.reason;
}

function toRejection({ candidate, displayName, offer }: RankedOffer, reason: string): Rejection {
  const spot = offer.useSpot ? "[Spot]" : "";
  return { candidate, displayName, what: `${offer.zone ?? offer.region} ${offer.instanceType}${spot}`, reason };
}
