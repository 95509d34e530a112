import type { CapacityReservation } from "@aws-sdk/client-ec2";
import type { CloudContext, Offer } from "../../../core/ports/cloud.ts";
import type { Clock } from "../../../shared/clock.ts";
import { orAborted } from "../../../shared/or-aborted.ts";
import { SkyError } from "../../../shared/errors.ts";
import { AwsDeniedError } from "../policy/denied-error.ts";
import { failureOf } from "../../../shared/sdk-failure.ts";
import { Kept } from "./kept.ts";
import type { RegionOpener } from "./open-region.ts";
import { findReservations } from "./reservations.ts";
import { readNodeSettings, type NodeSettings } from "./settings.ts";

const KEPT_MS = 5 * 60_000;
const LOOK_MS = 60_000;
/** A plan is not held up longer by one region. */
const PATIENCE_MS = 10_000;

type Reserving = Pick<NodeSettings, "usesReservations" | "reservationIds">;

/** Finds what the account has paid for already: such nodes cost nothing more while they last. */
export class Prepaid {
  readonly #opener: RegionOpener;
  readonly #kept: Kept<readonly CapacityReservation[]>;

  constructor(opener: RegionOpener, clock: Clock) {
    this.#opener = opener;
    this.#kept = new Kept(clock, KEPT_MS);
  }

  /**
   * The offers, each zone with free reservations as one of its own before the others of its region. Every region is asked at once; one
   * that cannot be asked keeps its offers as they are, and the user is told.
   */
  async mark(offers: readonly Offer[], context: CloudContext): Promise<readonly Offer[]> {
    const silent = new Map<string, string>();
    const marked = await Promise.all(
      offers.map(async (offer) => {
        const settings = readNodeSettings(context, { clusterName: "", region: offer.region });
        if (offer.useSpot || !settings.usesReservations) return [offer];
        const found = await this.#find(offer, context).catch((error: unknown) => {
          context.signal.throwIfAborted();
          silent.set(offer.region, reasonOf(error));
          return [];
        });
        return split(offer, usable(found, settings));
      }),
    );
    if (silent.size > 0) context.say?.(notAsked(silent));
    return marked.flat();
  }

  async #find(offer: Offer, context: CloudContext): Promise<readonly CapacityReservation[]> {
    const signal = AbortSignal.any([context.signal, AbortSignal.timeout(PATIENCE_MS)]);
    const region = await orAborted(this.#opener.open(offer.region, context), signal);
    const shared = { ...region, signal: AbortSignal.timeout(LOOK_MS) };
    const key = `${region.account}\n${region.name}\n${offer.instanceType}`;
    return orAborted(
      this.#kept.get(key, () => findReservations(shared, offer.instanceType)),
      signal,
    );
  }
}

/** Those that are open to every launch, and those that the settings name. */
function usable(found: readonly CapacityReservation[], { reservationIds }: Reserving): readonly CapacityReservation[] {
  return found.filter(
    ({ CapacityReservationId = "", InstanceMatchCriteria, InstancePlatform = "Linux/UNIX" }) =>
      InstancePlatform === "Linux/UNIX" &&
      (InstanceMatchCriteria === "open" || reservationIds.includes(CapacityReservationId)),
  );
}

function split(offer: Offer, reservations: readonly CapacityReservation[]): readonly Offer[] {
  const zones = offer.zone === null ? (offer.zones ?? []) : [offer.zone];
  const free = new Map<string, number>();
  for (const { AvailabilityZone = "", AvailabilityZoneId = "", AvailableInstanceCount = 0 } of reservations) {
    const zone = zones.find((one) => one === AvailabilityZone || one === AvailabilityZoneId);
    if (zone !== undefined) free.set(zone, (free.get(zone) ?? 0) + AvailableInstanceCount);
  }
  if (free.size === 0) return [offer];
  const { zones: _, ...plain } = offer;
  const prepaid = [...free]
    .toSorted(([, one], [, other]) => other - one)
    .map(([zone, prepaidNodes]) => ({ ...plain, zone, prepaidNodes }));
  const rest = zones.filter((zone) => !free.has(zone));
  return rest.length === 0 ? prepaid : [...prepaid, { ...offer, zones: rest }];
}

function reasonOf(error: unknown): string {
  if (error instanceof AwsDeniedError) return `${error.denial.action} is not allowed`;
  if (error instanceof SkyError) return error.message.split("\n", 1)[0] ?? error.message;
  return failureOf(error)?.name === "TimeoutError" ? "AWS did not answer" : String(error);
}

function notAsked(silent: ReadonlyMap<string, string>): string {
  const reasons = [...Map.groupBy(silent, ([, reason]) => reason)].map(
    ([reason, regions]) => `${regions.map(([region]) => region).join(", ")} (${reason})`,
  );
  return `Capacity reservations are not considered in ${reasons.join("; ")}.`;
}
