import type { Offer } from "../../../core/ports/cloud.ts";

/** What is known of nodes on EC2 without its code. */

/** EC2 shows a new instance everywhere after this time, seldom later. */
export const CONSISTENCY_MS = 10_000;

export const NO_STOP_FOR_SPOT = "Stopping spot instances is currently not supported on AWS.";

export function whyNoStop(offer: Offer): string | undefined {
  return offer.useSpot ? NO_STOP_FOR_SPOT : undefined;
}
