import {
  CloudAccessError,
  CloudUserIdentityError,
  NoCapacityError,
  QuotaExceededError,
  RegionUnusableError,
} from "../../shared/errors.ts";
import { isPartOf, type OfferPart } from "../optimizer/blocked.ts";
import type { RankedOffer } from "../optimizer/candidates.ts";
import type { Offer } from "../ports/cloud.ts";

/** How much of a cloud a refusal is about. `request`: the request itself is wrong, no place can help. */
export type BlockScope = "zone" | "quota" | "region" | "cloud" | "request";

/** A part of a cloud that need not be asked. */
export interface Block extends OfferPart {
  readonly scope: BlockScope;
  readonly cloud: string;
}

/** Reads the class of a provider's error, never its text. */
export function scopeOf(error: unknown): BlockScope {
  if (error instanceof NoCapacityError) return "zone";
  if (error instanceof QuotaExceededError) return "quota";
  if (error instanceof RegionUnusableError) return "region";
  if (error instanceof CloudAccessError || error instanceof CloudUserIdentityError) return "cloud";
  return "request";
}

/** The part of a cloud that a refusal at `offer` rules out. */
export function blockOf(offer: Offer, scope: BlockScope): Block {
  const { cloud, region, zone, instanceType, quotaFamily, useSpot } = offer;
  switch (scope) {
    case "zone":
      return { scope, cloud, region, ...(zone === null ? {} : { zone }), instanceType, useSpot };
    case "quota":
      return { scope, cloud, region, ...(quotaFamily === undefined ? { instanceType } : { quotaFamily }), useSpot };
    case "region":
      return { scope, cloud, region };
    case "cloud":
    case "request":
      return { scope, cloud };
  }
}

/** Whether the block rules the offer out. A request that is wrong is so everywhere. */
export function isBlockedBy(offer: Offer, block: Block): boolean {
  return block.scope === "request" || isPartOf(offer, block);
}

/** An offer of a region with several zones becomes one place for each. */
export function toPlaces(ranked: RankedOffer): readonly RankedOffer[] {
  const { zones, ...offer } = ranked.offer;
  if (offer.zone !== null || zones === undefined || zones.length === 0) return [{ ...ranked, offer }];
  return zones.map((zone) => ({ ...ranked, offer: { ...offer, zone } }));
}
