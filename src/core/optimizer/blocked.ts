import type { Offer } from "../ports/cloud.ts";

/** Places that are left out. Every field that is given must be equal; one that is absent matches anything. */
export interface BlockedPlace {
  readonly cloud?: string | undefined;
  readonly region?: string | undefined;
  readonly zone?: string | undefined;
  readonly instanceType?: string | undefined;
  /** Name → count of the accelerators of a node. */
  readonly accelerators?: Readonly<Record<string, number>> | undefined;
  readonly useSpot?: boolean | undefined;
  /** As a user reads it: `no capacity 4 min ago`. */
  readonly reason: string;
}

/** Why the offer may not be used; undefined when it may. */
export function blockOf(offer: Offer, blocked: readonly BlockedPlace[]): BlockedPlace | undefined {
  return blocked.find((place) => matches(offer, place));
}

function matches(offer: Offer, place: BlockedPlace): boolean {
  const same = (wanted: unknown, has: unknown): boolean => wanted === undefined || wanted === has;
  return (
    same(place.cloud, offer.cloud) &&
    same(place.region, offer.region) &&
    same(place.zone, offer.zone ?? undefined) &&
    same(place.instanceType, offer.instanceType) &&
    same(place.useSpot, offer.useSpot) &&
    (place.accelerators === undefined || sameAccelerators(place.accelerators, offer.resources.accelerators))
  );
}

function sameAccelerators(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}
