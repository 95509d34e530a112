import {
  CloudAccessError,
  CloudUserIdentityError,
  NoCapacityError,
  QuotaExceededError,
  RegionUnusableError,
} from "../../shared/errors.ts";
import type { RankedOffer } from "../optimizer/candidates.ts";
import type { Offer } from "../ports/cloud.ts";

/** How much of a cloud a refusal is about. `request`: the request itself is wrong, no place can help. */
export type BlockScope = "zone" | "quota" | "region" | "cloud" | "request";

/** A part of what clouds offer: an offer is in it when every field that is given is the same. An empty one holds everything. */
export interface Block {
  /** What kind of refusal ruled it out. */
  readonly scope?: BlockScope;
  readonly cloud?: string;
  readonly region?: string;
  readonly zone?: string;
  readonly instanceType?: string;
  readonly quotaFamily?: string;
  /** Name → count of the accelerators of a node. */
  readonly accelerators?: Readonly<Record<string, number>>;
  readonly useSpot?: boolean;
}

/** A part that is left out, and why. */
export interface Blocked {
  readonly block: Block;
  /** As a user reads it: `no capacity`. */
  readonly reason: string;
}

/** Reads the class of a provider's error, never its text. */
export function scopeOf(error: unknown): BlockScope {
  if (error instanceof NoCapacityError) return "zone";
  if (error instanceof QuotaExceededError) return "quota";
  if (error instanceof RegionUnusableError) return "region";
  if (error instanceof CloudAccessError || error instanceof CloudUserIdentityError) return "cloud";
  return "request";
}

/** The part of what clouds offer that a refusal at `offer` rules out. A request that is wrong is so everywhere. */
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
      return { scope, cloud };
    case "request":
      return { scope };
  }
}

const MATCHED = ["cloud", "region", "zone", "instanceType", "quotaFamily", "useSpot"] as const;

/** Whether the block rules the offer out. An offer without a zone is in no zone. */
export function isBlockedBy(offer: Offer, block: Block): boolean {
  const { accelerators } = block;
  return (
    MATCHED.every((field) => block[field] === undefined || block[field] === offer[field]) &&
    (accelerators === undefined || sameAccelerators(accelerators, offer.resources.accelerators))
  );
}

function sameAccelerators(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

/** What rules the offer out; undefined when nothing does. */
export function whatBlocks<T extends Blocked>(offer: Offer, blocked: readonly T[]): T | undefined {
  return blocked.find(({ block }) => isBlockedBy(offer, block));
}

/** An offer of a region with several zones becomes one place for each. */
export function toPlaces(ranked: RankedOffer): readonly RankedOffer[] {
  const { zones, ...offer } = ranked.offer;
  if (offer.zone !== null || zones === undefined || zones.length === 0) return [{ ...ranked, offer }];
  return zones.map((zone) => ({ ...ranked, offer: { ...offer, zone } }));
}
