import { priceAt, type Catalog } from "../../catalog/catalog.ts";
import type { InstanceType, Place } from "../../catalog/instance-type.ts";
import { selectByAccelerator, selectDefault, type NodeWish, type TypeSelection } from "../../catalog/select.ts";
import type { Offer, OfferRequest, OfferSet } from "../../core/ports/cloud.ts";
import { regionOfZone } from "./catalog/zones.ts";
import { quotaFamilyOf } from "./quota-family.ts";
import { missingRegions, rejectionOf } from "./rejections.ts";

/** General-purpose, memory and compute families of the last two generations on Intel: what a request without wishes gets. */
const DEFAULT_FAMILIES = ["m6i", "m6id", "m7i", "r6i", "r6id", "r7i", "c6i", "c6id", "c7i"] as const;

/**
 * The places that can run a node, in the order in which a launch tries them: those of the cheapest fitting type, regions of the United
 * States first, then by price. On demand there is one offer for each region; spot prices differ by zone, so there it is one for each.
 */
export function awsOffers(asked: OfferRequest, catalog: Catalog): OfferSet {
  const named = catalog.hasZoneIds ? zoneByName(asked, catalog) : undefined;
  if (named !== undefined) return inZone(awsOffers(named.request, catalog), named.zone);
  return offersOf(asked, catalog);
}

interface NamedZone {
  readonly zone: string;
  /** The same for the zone's region. */
  readonly request: OfferRequest;
}

/** A zone by an account's name for it, where only the ids of zones are known. */
function zoneByName(request: OfferRequest, catalog: Catalog): NamedZone | undefined {
  const { zone, ...rest } = request;
  const region = catalog.findRegion(regionOfZone(zone ?? "") ?? "");
  if (zone === undefined || region === undefined || (rest.region ?? region).toLowerCase() !== region) return undefined;
  return { zone, request: { ...rest, region } };
}

/** On-demand prices are the same in all zones of a region; of spot prices the region's lowest is the best guess there is. */
function inZone(set: OfferSet, zone: string): OfferSet {
  const [best] = [...set.offers].sort((a, b) => (a.priceUsdPerHour ?? Infinity) - (b.priceUsdPerHour ?? Infinity));
  if (best === undefined) return set;
  const { zones: _, ...offer } = best;
  return { ...set, offers: [{ ...offer, zone }] };
}

function offersOf(request: OfferRequest, catalog: Catalog): OfferSet {
  const selection = select(request, catalog);
  const [chosen] = selection.types;
  if (chosen === undefined) {
    return { offers: [], rejected: [rejectionOf(request, selection.obstacle)], suggestions: selection.suggestions };
  }
  const { name } = chosen.type;
  const places = catalog.pricedPlaces(name, request);
  const hasChoice = request.instanceType === undefined && Object.keys(request.accelerators).length > 0;
  return {
    offers: inTryingOrder(places, request.useSpot).map((group) => {
      const offer = toOffer(chosen.type, group, request);
      return { ...offer, pricedAt: catalog.priceDate(offer.region, offer.useSpot) };
    }),
    rejected: missingRegions(name, { request, catalog }),
    suggestions: [],
    ...(hasChoice ? { alternatives: namesOf(selection) } : {}),
  };
}

function namesOf({ types, unpriced = [] }: TypeSelection): readonly string[] {
  return [...types.map(({ type }) => type.name), ...unpriced.map((type) => type.name)];
}

function select(request: OfferRequest, catalog: Catalog): TypeSelection {
  if (request.instanceType !== undefined) return selectNamed(request.instanceType, request, catalog);
  const [accelerator] = Object.entries(request.accelerators);
  if (accelerator === undefined) return selectDefault(catalog, request, DEFAULT_FAMILIES);
  const [name, count] = accelerator;
  return selectByAccelerator(catalog, { ...request, accelerator: { name, count } });
}

/** The type that was asked for by name. */
function selectNamed(name: string, wish: NodeWish, catalog: Catalog): TypeSelection {
  const type = catalog.findType(name);
  if (type === undefined) return { types: [], obstacle: "instance type", suggestions: [] };
  const usdPerHour = catalog.lowestPrice(name, wish);
  if (usdPerHour !== undefined) return { types: [{ type, usdPerHour }], suggestions: [] };
  const isSoldHere = catalog.places(name, wish).length > 0;
  return { types: [], obstacle: isSoldHere ? "unknown price" : "place", suggestions: [] };
}

/** Places that are tried together: all zones of a region on demand, single zones for spot. */
function inTryingOrder(places: readonly Place[], useSpot: boolean): readonly (readonly Place[])[] {
  const regions = new Map<string, Place[]>();
  for (const place of places) {
    const group = regions.get(place.region);
    if (group === undefined) regions.set(place.region, [place]);
    else group.push(place);
  }
  const isAmerican = (group: readonly Place[]): boolean => group[0]?.region.startsWith("us-") ?? false;
  const groups = [...regions.values()];
  const ordered = [...groups.filter(isAmerican), ...groups.filter((group) => !isAmerican(group))];
  return useSpot ? ordered.flatMap((group) => group.map((place) => [place])) : ordered;
}

function toOffer(type: InstanceType, places: readonly Place[], request: OfferRequest): Offer {
  const [first] = places;
  const isOneZone = request.useSpot || request.zone !== undefined;
  const quotaFamily = quotaFamilyOf(type.name);
  return {
    cloud: "aws",
    region: first?.region ?? "",
    zone: isOneZone ? (first?.zone ?? null) : null,
    instanceType: type.name,
    ...(quotaFamily === undefined ? {} : { quotaFamily }),
    resources: {
      cpus: type.vcpus ?? 0,
      memoryGib: type.memoryGib ?? 0,
      accelerators: type.accelerator === undefined ? {} : { [type.accelerator.name]: type.accelerator.count },
    },
    useSpot: request.useSpot,
    priceUsdPerHour: (first === undefined ? undefined : priceAt(first, request.useSpot)) ?? null,
    ...(isOneZone ? {} : { zones: places.flatMap(({ zone }) => zone ?? []) }),
    ...hardwareOf(type),
  };
}

function hardwareOf({
  arch,
  accelerator,
  localDisk,
}: InstanceType): Pick<Offer, "arch" | "acceleratorMemoryGib" | "localDiskGb"> {
  const memoryMib = accelerator?.memoryMib;
  return {
    ...(arch === undefined ? {} : { arch }),
    ...(memoryMib === undefined ? {} : { acceleratorMemoryGib: memoryMib / 1024 }),
    ...(localDisk === undefined ? {} : { localDiskGb: localDisk.sizeGb * localDisk.count }),
  };
}
