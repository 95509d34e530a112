import type { Offer } from "../ports/cloud.ts";

/** Stands for an unknown price where prices are compared: after every known one, and still a number that can be added. */
const UNKNOWN_USD_PER_HOUR = 1e12;

/** USD per hour for the instances of all nodes that no reservation has paid for; for comparing. */
export function rateOf(offer: Offer, numNodes: number): number {
  const paid = Math.max(0, numNodes - (offer.prepaidNodes ?? 0));
  return (offer.priceUsdPerHour ?? UNKNOWN_USD_PER_HOUR) * paid;
}

/** The same for people; null = unknown. */
export function shownRate(offer: Offer, numNodes: number): number | null {
  return offer.priceUsdPerHour === null ? null : rateOf(offer, numNodes);
}
