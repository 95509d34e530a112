import type { OfferExtras, OfferRequest, OfferSet } from "../../core/ports/cloud.ts";
import { diskUsdPerHour, type DiskPrice } from "./catalog/disk-prices.ts";
import { diskTierOf, volumeOf } from "./disk-tiers.ts";

/** Of every public IPv4 address in every region since February 2024. */
const IPV4_USD_PER_HOUR = 0.005;

interface Place {
  readonly config: Readonly<Record<string, unknown>>;
  /** Undefined where it is not known. */
  readonly diskPrice: DiskPrice | undefined;
}

/** What a node costs besides the instance: its root volume, and its public address unless the config does without. */
export function extrasOf(request: OfferRequest, { config, diskPrice }: Place): OfferExtras {
  const volume = volumeOf(diskTierOf(request.diskTier));
  // Only the prices of gp3 are read: older volumes pay for each operation, faster ones by tiers.
  const price = volume.type === "gp3" ? diskPrice : undefined;
  const disk = { gib: request.diskGib, iops: volume.iops ?? 0, mibps: volume.mibps ?? 0 };
  return {
    diskUsdPerHour: price === undefined ? null : diskUsdPerHour(disk, price),
    ipUsdPerHour: usesInternalIps(config) ? 0 : IPV4_USD_PER_HOUR,
  };
}

/** The offers with what nodes cost there besides the instance. */
export function withExtras(
  set: OfferSet,
  request: OfferRequest,
  places: { readonly config: Place["config"]; readonly diskPrice: (region: string) => DiskPrice | undefined },
): OfferSet {
  const { config, diskPrice } = places;
  const offers = set.offers.map((offer) => ({
    ...offer,
    extras: extrasOf(request, { config, diskPrice: diskPrice(offer.region) }),
  }));
  return { ...set, offers };
}

function usesInternalIps(config: Readonly<Record<string, unknown>>): boolean {
  const aws = config["aws"];
  return typeof aws === "object" && aws !== null && "use_internal_ips" in aws && aws.use_internal_ips === true;
}
