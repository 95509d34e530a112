import { RegionUnusableError } from "../../../shared/errors.ts";
import type { Clock } from "../../../shared/clock.ts";
import { orAborted } from "../../../shared/or-aborted.ts";
import type { Offer } from "../../../core/ports/cloud.ts";
import { architectureOf } from "../nodes/image-families.ts";
import { Kept } from "../nodes/kept.ts";
import type { Region } from "../nodes/region.ts";
import type { Places } from "../nodes/places.ts";
import type { Denial } from "../policy/denial.ts";
import { tryBareLaunch } from "../preflight/launch-trial.ts";

const KEPT_MS = 5 * 60_000;
const LOOK_MS = 60_000;

/** Finds out by dry runs whether the caller may launch, where an organisation or a policy may forbid regions or types. */
export class LaunchRight {
  readonly #kept: Kept<Denial | undefined>;
  readonly #places: Places;

  constructor(clock: Clock, places: Places) {
    this.#kept = new Kept(clock, KEPT_MS);
    this.#places = places;
  }

  /** The refusal; undefined when there is none, or when it cannot be tried. */
  async denial(region: Region, offer: Offer): Promise<Denial | undefined> {
    const shared = { ...region, signal: AbortSignal.timeout(LOOK_MS) };
    const key = `${region.principal}\n${region.name}\n${offer.instanceType}`;
    return orAborted(
      this.#kept.get(key, () => this.#look(shared, offer)),
      region.signal,
    );
  }

  async #look(region: Region, offer: Offer): Promise<Denial | undefined> {
    const accelerators = Object.keys(offer.resources.accelerators);
    const wish = { architecture: architectureOf(offer), accelerators, imageId: undefined };
    const image = await this.#places.image(region, wish).catch((error: unknown) => {
      if (error instanceof RegionUnusableError) return undefined;
      throw error;
    });
    if (image === undefined) return undefined;
    const ec2 = await region.clients.ec2(region.name);
    const { instanceType } = offer;
    const outcome = await tryBareLaunch(ec2, { imageId: image.id, instanceType }, { signal: region.signal });
    return outcome.kind === "denied" ? outcome.denial : undefined;
  }
}
