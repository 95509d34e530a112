import { compareText, priceAt, type Catalog } from "../../catalog/catalog.ts";
import type { Obstacle } from "../../catalog/select.ts";
import type { OfferRequest, OfferSet } from "../../core/ports/cloud.ts";

type Rejection = OfferSet["rejected"][number];

/** Regions that were asked about and cannot be used, with the reason. */
export function missingRegions(
  name: string,
  { request, catalog }: { readonly request: OfferRequest; readonly catalog: Catalog },
): readonly Rejection[] {
  const sold = catalog.places(name, request);
  const priced = new Set(
    sold.filter((place) => priceAt(place, request.useSpot) !== undefined).map((one) => one.region),
  );
  const unpriced = new Set(sold.map((place) => place.region).filter((region) => !priced.has(region)));
  const asked = request.region === undefined && request.zone === undefined ? catalog.regions() : [];
  const known = new Set(sold.map((place) => place.region));
  const unsold = asked.filter((region) => !known.has(region));
  const spot = request.useSpot ? "spot " : "";
  return [
    ...[...unpriced]
      .sort(compareText)
      .map((region) => ({ what: `${name} in ${region}`, reason: `${spot}price unknown` })),
    ...unsold.map((region) => ({ what: `${name} in ${region}`, reason: "the region does not have the type" })),
  ];
}

/** Why no instance type will do. */
export function rejectionOf(request: OfferRequest, obstacle: Obstacle = "instance type"): Rejection {
  const [accelerator] = Object.entries(request.accelerators);
  const what = request.instanceType ?? accelerator?.join(":") ?? "default instance types";
  return { what, reason: REASONS[obstacle](request) };
}

const REASONS: Readonly<Record<Obstacle, (request: OfferRequest) => string>> = {
  "instance type": () => "no instance type has this name",
  accelerator: () => "no instance type has this accelerator in this count",
  "local disk": ({ localDisk }) => `no instance type has local disks of ${localDisk}`,
  place: (request) => `not offered in ${placeOf(request)}`,
  cpus: ({ cpus }) => `no instance type has ${cpus?.count}${cpus?.orMore === true ? "+" : ""} vCPUs`,
  memory: ({ memory }) => `no instance type has ${memory?.amount}${suffixOf(memory)} GiB of memory`,
  "unknown price": (request) => `the ${request.useSpot ? "spot " : ""}price in ${placeOf(request)} is unknown`,
  "max hourly cost": ({ maxUsdPerHour }) => `every price is more than max_hourly_cost ($${maxUsdPerHour}/hr)`,
};

function placeOf({ region, zone }: OfferRequest): string {
  return zone ?? region ?? "any region";
}

function suffixOf(memory: OfferRequest["memory"]): string {
  if (memory?.perCpu === true) return "x";
  return memory?.orMore === true ? "+" : "";
}
