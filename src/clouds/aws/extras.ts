import type { OfferExtras, OfferRequest, OfferSet } from "../../core/ports/cloud.ts";

/**
 * General-purpose (gp3) volumes in USD per GB-month, as the price page of EBS lists them (2025). A region that is not here has a
 * price that is not known, which is shown as such.
 */
const GP3_USD_PER_GB_MONTH: Readonly<Record<string, number>> = {
  "us-east-1": 0.08,
  "us-east-2": 0.08,
  "us-west-2": 0.08,
};
/** Of every public IPv4 address in every region since February 2024. */
const IPV4_USD_PER_HOUR = 0.005;
const HOURS_PER_MONTH = 730;

/** What a node costs besides the instance: its root volume, and its public address unless the config does without. */
export function extrasOf(
  request: OfferRequest,
  { region, config }: { readonly region: string; readonly config: Readonly<Record<string, unknown>> },
): OfferExtras {
  const { diskTier } = request;
  // Other tiers also pay for operations and throughput.
  const isGp3 = diskTier === undefined || diskTier === "medium";
  const perGb = isGp3 ? GP3_USD_PER_GB_MONTH[region] : undefined;
  return {
    diskUsdPerHour: perGb === undefined ? null : (request.diskGib * perGb) / HOURS_PER_MONTH,
    ipUsdPerHour: usesInternalIps(config) ? 0 : IPV4_USD_PER_HOUR,
  };
}

/** The offers with what nodes cost there besides the instance. */
export function withExtras(set: OfferSet, request: OfferRequest, config: Readonly<Record<string, unknown>>): OfferSet {
  const offers = set.offers.map((offer) => ({ ...offer, extras: extrasOf(request, { region: offer.region, config }) }));
  return { ...set, offers };
}

function usesInternalIps(config: Readonly<Record<string, unknown>>): boolean {
  const aws = config["aws"];
  return typeof aws === "object" && aws !== null && "use_internal_ips" in aws && aws.use_internal_ips === true;
}
