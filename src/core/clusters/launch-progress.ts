import type { RequestLog } from "../operation.ts";
import type { RankedOffer } from "../optimizer/candidates.ts";
import type { Refusal } from "../provision/attempt.ts";
import * as messages from "./messages.ts";

/** What the user sees of a walk over many places: a line for each region, one below it for each refusal, and one live spinner. */
export class LaunchProgress {
  readonly #log: RequestLog;
  readonly #clusterName: string;
  readonly #places: readonly RankedOffer[];
  #tried = 0;
  #shown: string | undefined;

  constructor(log: RequestLog, clusterName: string, places: readonly RankedOffer[]) {
    this.#log = log;
    this.#clusterName = clusterName;
    this.#places = places;
  }

  begin(place: RankedOffer): void {
    const region = regionOf(place);
    if (this.#shown !== region) {
      if (this.#shown !== undefined) this.#log.line("↺ Trying other potential resources.");
      this.#shown = region;
      this.#log.line(messages.launchingOn(place.displayName, { ...place.offer, zone: this.#zonesLike(place) }));
    }
    this.#log.spin(messages.launchSpinner(this.#spinnerText(place), this.#clusterName));
  }

  refuse(place: RankedOffer, refusal: Refusal): void {
    this.#tried++;
    this.#log.line(messages.refused(place.offer.zone ?? place.offer.region, refusal.reason));
  }

  /** Zones of the region that may be tried. */
  #zonesLike(place: RankedOffer): string | null {
    const zones = this.#places
      .filter((one) => regionOf(one) === regionOf(place))
      .flatMap((one) => one.offer.zone ?? []);
    return zones.length === 0 ? null : [...new Set(zones)].join(", ");
  }

  #spinnerText(place: RankedOffer): string {
    if (this.#tried === 0) return "Launching";
    const at = place.offer.zone ?? place.offer.region;
    return `Launching in ${at} (${this.#tried} of ${this.#places.length} places tried)`;
  }
}

function regionOf({ displayName, offer }: RankedOffer): string {
  return [displayName, offer.region, offer.instanceType, offer.useSpot].join("\0");
}
