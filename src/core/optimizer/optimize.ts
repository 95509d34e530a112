import { ResourcesUnavailableError } from "../../shared/errors.ts";
import { displayNameOf, requireEnabledClouds } from "../check/clouds.ts";
import { cloudContext } from "../clusters/cluster.ts";
import type { OperationContext } from "../operation.ts";
import type { Cloud, Offer } from "../ports/cloud.ts";
import { formatResources } from "../resources/format.ts";
import type { Resources } from "../resources/resources.ts";
import type { Task } from "../task/task.ts";
import { cloudKeyOf, toOfferRequest } from "./request.ts";
import { renderConsidered, type ConsideredRow } from "./table.ts";

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

export interface Ranking {
  /** Best first. */
  readonly offers: readonly RankedOffer[];
  readonly rejected: readonly Rejection[];
  readonly suggestions: readonly string[];
}

/**
 * Asks every enabled cloud for offers and ranks them: cheapest first, a preference list in its own order. Throws NoCloudAccessError,
 * and ResourcesUnavailableError when nothing fits.
 */
export async function rankOffers(task: Task, context: OperationContext): Promise<Ranking> {
  const { candidates, kind } = task.resources;
  const clouds = await requireEnabledClouds(context, candidates.map(cloudKeyOf));
  const answers = await Promise.all(
    candidates.map((resources, candidate) => askClouds({ task, resources, candidate }, clouds, context)),
  );
  const ranked = answers.map((answer) => [...answer.offers].sort(byPrice));
  const ranking: Ranking = {
    offers: kind === "ordered" ? ranked.flat() : ranked.flat().sort(byPrice),
    rejected: answers.flatMap((answer) => answer.rejected),
    suggestions: [...new Set(answers.flatMap((answer) => answer.suggestions))],
  };
  if (ranking.offers.length === 0) throw noOffers(task, ranking, { clouds, supported: context.clouds.names() });
  return ranking;
}

function byPrice(a: RankedOffer, b: RankedOffer): number {
  // An unknown price comes after every known one.
  return (a.offer.priceUsdPerHour ?? Infinity) - (b.offer.priceUsdPerHour ?? Infinity) || 0;
}

interface Question {
  readonly task: Task;
  readonly resources: Resources;
  readonly candidate: number;
}

async function askClouds(question: Question, clouds: readonly Cloud[], context: OperationContext): Promise<Ranking> {
  const { task, resources, candidate } = question;
  const key = cloudKeyOf(resources);
  const asked = clouds.filter((cloud) => key === undefined || cloud.name === key);
  const request = toOfferRequest(resources, task.numNodes);
  const sets = await Promise.all(
    asked.map(async (cloud) => ({ cloud, set: await cloud.offers(request, cloudContext(context)) })),
  );
  const limit = request.maxUsdPerHour ?? Infinity;
  const offers = sets.flatMap(({ cloud, set }) =>
    set.offers.map((offer) => ({ candidate, offer, displayName: cloud.displayName })),
  );
  const isAffordable = (one: RankedOffer): boolean => (one.offer.priceUsdPerHour ?? 0) <= limit;
  return {
    offers: offers.filter(isAffordable),
    rejected: [
      ...sets.flatMap(({ cloud, set }) =>
        set.rejected.map((one) => ({ candidate, displayName: cloud.displayName, ...one })),
      ),
      ...offers
        .filter((one) => !isAffordable(one))
        .map((one) => ({
          candidate,
          displayName: one.displayName,
          what: one.offer.instanceType,
          reason: `costs $${one.offer.priceUsdPerHour}/hr, more than max_hourly_cost ($${limit}/hr)`,
        })),
    ],
    suggestions: sets.flatMap(({ set }) => set.suggestions),
  };
}

interface Places {
  readonly clouds: readonly Cloud[];
  /** Registry keys of what this release knows how to use. */
  readonly supported: readonly string[];
}

function noOffers(task: Task, ranking: Ranking, places: Places): ResourcesUnavailableError {
  const { clouds } = places;
  const keys = task.resources.candidates.map(cloudKeyOf);
  const disabled = [...new Set(keys)].filter((key) => key === undefined || !clouds.some((cloud) => cloud.name === key));
  if (disabled.length > 0 && keys.every((key) => disabled.includes(key)) && !disabled.includes(undefined)) {
    const names = disabled.map((key) => displayNameOf(key ?? ""));
    return new ResourcesUnavailableError(
      `Task requires ${names.join(", ")} which ${names.length === 1 ? "is" : "are"} not enabled. To enable access, change the task infra requirement or run: sky check to ensure the infra is enabled.`,
      { hint: notEnabledHint(disabled, names, places) },
    );
  }
  const requests = task.resources.candidates.map((resources) => `${task.numNodes}x ${formatResources(resources)}`);
  const lines = [
    `Catalog does not contain any instances satisfying the request: ${requests.join(", ")}.`,
    "To fix: relax or change the resource requirements.",
  ];
  if (ranking.suggestions.length > 0) {
    lines.push(`Try one of these offered accelerators: [${ranking.suggestions.map((one) => `'${one}'`).join(", ")}]`);
  }
  for (const one of ranking.rejected) lines.push(`- ${one.displayName}: ${one.reason}.`);
  const hint = ["sky gpus list to list available accelerators.", "      sky check to check the enabled clouds."];
  return new ResourcesUnavailableError(lines.join("\n"), { hint: hint.join("\n") });
}

/** Tells what this release cannot do yet from what only has to be set up. */
function notEnabledHint(
  keys: readonly (string | undefined)[],
  displayNames: readonly string[],
  { clouds, supported }: Places,
): string {
  const enabled = clouds.map((cloud) => cloud.name);
  const unknown = keys.filter((key) => !supported.includes(key ?? ""));
  const use = enabled.length === 0 ? "" : ` Enabled here: ${enabled.join(", ")} (e.g. --infra ${enabled[0]}).`;
  if (unknown.length === 0) return `To see what is missing: sky check ${keys.join(" ")}.${use}`;
  return `${displayNames.join(", ")} ${displayNames.length === 1 ? "is" : "are"} not available in this version yet.${use}`;
}

/** The table of considered resources: one row per cloud and instance type, the cheapest place of each. */
export function considered(ranking: Ranking, numNodes: number): readonly string[] {
  const rows = new Map<string, ConsideredRow>();
  ranking.offers.forEach(({ offer, displayName }, position) => {
    const instance = `${offer.instanceType}${offer.useSpot ? "[Spot]" : ""}`;
    const key = `${offer.cloud}\0${instance}`;
    if (rows.has(key)) return;
    rows.set(key, {
      infra: infraText(displayName, offer),
      // Without fixed instance types, the columns beside it say it all.
      instance: isVirtualType(offer.instanceType) ? "-" : instance,
      cpus: offer.resources.cpus,
      memoryGib: offer.resources.memoryGib,
      gpus: gpuText(offer),
      costUsd: offer.priceUsdPerHour === null ? null : offer.priceUsdPerHour * numNodes,
      isChosen: position === 0,
    });
  });
  return renderConsidered([...rows.values()], numNodes);
}

/** `AWS (us-east-1)`, with the zone where the price depends on it; `Local` where there is one place only. */
export function infraText(displayName: string, offer: Offer): string {
  const place = offer.useSpot ? (offer.zone ?? offer.region) : offer.region;
  return place === offer.cloud ? displayName : `${displayName} (${place})`;
}

/** Types that clouds without fixed sizes make up: `2CPU--4GB`. */
export function isVirtualType(instanceType: string): boolean {
  return /^[\d.]+CPU--[\d.]+GB(--.+)?$/.test(instanceType);
}

export function gpuText(offer: Offer): string | undefined {
  const gpus = Object.entries(offer.resources.accelerators).map(([name, count]) => `${name}:${count}`);
  return gpus.length > 0 ? gpus.join(", ") : undefined;
}
