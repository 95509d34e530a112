import { compareText, type Catalog } from "./catalog.ts";
import type { InstanceType, Place } from "./instance-type.ts";

export interface AcceleratorFilter {
  /** Part of the name, as text. */
  readonly name?: string | undefined;
  readonly isCaseSensitive: boolean;
  /** Exactly that many per node. */
  readonly count?: number | undefined;
  /** A region, or a part of the names of several, in any case. */
  readonly region?: string | undefined;
  /** One row for each region, not only for the cheapest. */
  readonly allRegions: boolean;
  /** Leaves out accelerators whose devices the catalog does not describe. */
  readonly gpusOnly: boolean;
}

/** An instance type with an accelerator, at its cheapest place or at the cheapest of one region. Prices in USD per hour. */
export interface AcceleratorRow {
  readonly instanceType: string;
  readonly name: string;
  readonly count: number;
  readonly cpus: number | undefined;
  readonly deviceMemoryGib: number | undefined;
  readonly memoryGib: number | undefined;
  readonly onDemandUsd: number | undefined;
  readonly spotUsd: number | undefined;
  readonly region: string;
}

/** Rows by the accelerator's name: the fewest devices first, then by type; regions of a type cheapest first, unknown prices last. */
export function listAccelerators(
  catalog: Catalog,
  filter: AcceleratorFilter,
): ReadonlyMap<string, readonly AcceleratorRow[]> {
  const byName = new Map<string, AcceleratorRow[]>();
  const regions = filter.region === undefined ? undefined : new Set(regionsLike(catalog, filter.region));
  for (const type of typesOf(catalog, filter)) {
    const rows = byName.get(type.accelerator.name) ?? [];
    byName.set(type.accelerator.name, rows);
    const places = catalog.places(type.name).filter(({ region }) => regions?.has(region) ?? true);
    for (const place of bestPlaces(places, filter.allRegions)) rows.push(toRow(type, place));
  }
  for (const rows of byName.values()) rows.sort(compareRows);
  return new Map([...byName].filter(([, rows]) => rows.length > 0));
}

/** The region of that name, else those whose name contains it. */
export function regionsLike(catalog: Catalog, text: string): readonly string[] {
  const exact = catalog.findRegion(text);
  if (exact !== undefined) return [exact];
  return catalog.regions().filter((region) => region.toLowerCase().includes(text.toLowerCase()));
}

type WithAccelerator = InstanceType & { readonly accelerator: NonNullable<InstanceType["accelerator"]> };

function typesOf(catalog: Catalog, filter: AcceleratorFilter): readonly WithAccelerator[] {
  const fold = (text: string): string => (filter.isCaseSensitive ? text : text.toLowerCase());
  const wanted = fold(filter.name ?? "");
  const isWanted = (type: InstanceType): type is WithAccelerator =>
    type.accelerator !== undefined &&
    (type.isGpu || !filter.gpusOnly) &&
    fold(type.accelerator.name).includes(wanted) &&
    (filter.count === undefined || type.accelerator.count === filter.count);
  return catalog.types().filter(isWanted);
}

/** The cheapest place, or the cheapest of each region; among equals the first of the catalog. */
function bestPlaces(places: readonly Place[], allRegions: boolean): readonly Place[] {
  const best = new Map<string, Place>();
  for (const place of places) {
    const key = allRegions ? place.region : "";
    const known = best.get(key);
    if (known === undefined || comparePrices(place, known) < 0) best.set(key, place);
  }
  return [...best.values()];
}

function toRow(type: WithAccelerator, place: Place): AcceleratorRow {
  const { name, count, memoryMib } = type.accelerator;
  return {
    instanceType: type.name,
    name,
    count,
    cpus: type.vcpus,
    deviceMemoryGib: memoryMib === undefined ? undefined : memoryMib / 1024,
    memoryGib: type.memoryGib,
    onDemandUsd: place.onDemandUsd,
    spotUsd: place.spotUsd,
    region: place.region,
  };
}

interface Prices {
  readonly onDemandUsd: number | undefined;
  readonly spotUsd: number | undefined;
}

function comparePrices(a: Prices, b: Prices): number {
  return comparePrice(a.onDemandUsd, b.onDemandUsd) || comparePrice(a.spotUsd, b.spotUsd);
}

function comparePrice(a: number | undefined, b: number | undefined): number {
  if (a === b) return 0;
  return (a ?? Infinity) - (b ?? Infinity);
}

function compareRows(a: AcceleratorRow, b: AcceleratorRow): number {
  return (
    a.count - b.count ||
    compareText(a.instanceType, b.instanceType) ||
    comparePrices(a, b) ||
    compareText(a.region, b.region)
  );
}
