import type { RequestLog } from "../operation.ts";
import type { RankedOffer } from "../optimizer/candidates.ts";
import { whatIsKnownOf, type Remembered } from "../provision/capacity-memory.ts";
import type { Refusal } from "../provision/attempt.ts";
import * as messages from "./messages.ts";

interface Walk {
  readonly clusterName: string;
  readonly places: readonly RankedOffer[];
  /** How often the whole walk was repeated. */
  readonly round: number;
  /** What other launches were told a while ago. */
  readonly memory: readonly Remembered[];
}

/**
 * What the user sees of a walk over many places: a line for each region, one below it for each refusal, and one live spinner. Repeated
 * walks show the spinner alone, and at last the place that took the cluster.
 */
export class LaunchProgress {
  readonly #log: RequestLog;
  readonly #walk: Walk;
  #tried = 0;
  #shown: string | undefined;

  constructor(log: RequestLog, walk: Walk) {
    this.#log = log;
    this.#walk = walk;
    const last = walk.places.filter((place) => whatIsKnownOf(place, walk.memory) !== undefined);
    if (walk.round > 0 || last.length === 0 || last.length === walk.places.length) return;
    const names = last.map(({ offer }) => `${offer.zone ?? offer.region} (${offer.instanceType})`);
    log.line(messages.dim(`Tried last, because of a refusal a short while ago: ${names.join(", ")}.`));
  }

  begin(place: RankedOffer): void {
    const region = regionOf(place);
    if (this.#walk.round === 0 && this.#shown !== region) {
      if (this.#shown !== undefined) this.#log.line("↺ Trying other potential resources.");
      this.#shown = region;
      this.#log.line(messages.launchingOn(place.displayName, { ...place.offer, zone: this.#zonesLike(place) }));
    }
    this.#log.spin(messages.launchSpinner(this.#spinnerText(place), this.#walk.clusterName));
  }

  refuse(place: RankedOffer, refusal: Refusal): void {
    this.#tried++;
    if (this.#walk.round > 0) return;
    this.#log.line(messages.refused(place.offer.zone ?? place.offer.region, refusal.reason));
  }

  accept(place: RankedOffer): void {
    if (this.#walk.round > 0) this.#log.line(messages.launchingOn(place.displayName, place.offer));
  }

  /** Zones of the region that may be tried. */
  #zonesLike(place: RankedOffer): string | null {
    const zones = this.#walk.places
      .filter((one) => regionOf(one) === regionOf(place))
      .flatMap((one) => one.offer.zone ?? []);
    return zones.length === 0 ? null : [...new Set(zones)].join(", ");
  }

  #spinnerText(place: RankedOffer): string {
    const { round, places } = this.#walk;
    if (this.#tried === 0 && round === 0) return "Launching";
    const at = place.offer.zone ?? place.offer.region;
    const retry = round === 0 ? "" : `, retry ${round}`;
    return `Launching in ${at} (${this.#tried} of ${places.length} places tried${retry})`;
  }
}

function regionOf({ displayName, offer }: RankedOffer): string {
  return [displayName, offer.region, offer.instanceType, offer.useSpot].join("\0");
}
