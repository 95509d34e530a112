import type { Offer } from "../ports/cloud.ts";

/** A part of what clouds offer: an offer is in it when every field that is given is the same. */
export interface OfferPart {
  readonly cloud?: string | undefined;
  readonly region?: string | undefined;
  readonly zone?: string | undefined;
  readonly instanceType?: string | undefined;
  readonly quotaFamily?: string | undefined;
  /** Name → count of the accelerators of a node. */
  readonly accelerators?: Readonly<Record<string, number>> | undefined;
  readonly useSpot?: boolean | undefined;
}

/** Places that are left out. */
export interface BlockedPlace extends OfferPart {
  /** As a user reads it: `no capacity 4 min ago`. */
  readonly reason: string;
}

/** Why the offer may not be used; undefined when it may. */
export function blockOf(offer: Offer, blocked: readonly BlockedPlace[]): BlockedPlace | undefined {
  return blocked.find((place) => isPartOf(offer, place));
}

const MATCHED = ["cloud", "region", "zone", "instanceType", "quotaFamily", "useSpot"] as const;

/** An offer without a zone is in no zone. */
export function isPartOf(offer: Offer, part: OfferPart): boolean {
  const { accelerators } = part;
  return (
    MATCHED.every((field) => part[field] === undefined || part[field] === offer[field]) &&
    (accelerators === undefined || sameAccelerators(accelerators, offer.resources.accelerators))
  );
}

function sameAccelerators(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}
