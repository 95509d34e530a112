import { InvalidValueError } from "../shared/errors.ts";
import type { InstanceType, Place, Where } from "./instance-type.ts";
import type { CatalogTable } from "./table.ts";

/** Where the figures come from. */
export interface CatalogOrigin {
  readonly kind: "user file" | "refreshed file" | "snapshot";
  /** The file; the name of the bundled one for a snapshot. */
  readonly path: string;
  readonly dates: PriceDates;
  /** For people: what comes from where. */
  readonly sources?: readonly string[];
}

/** Days of the prices, `2026-07-20`. */
export interface PriceDates {
  readonly onDemand: string;
  readonly spot: string;
  /** Regions whose on-demand prices are of another day. */
  readonly onDemandByRegion?: Readonly<Record<string, string>>;
}

/** One cloud's instance types and prices, indexed. Immutable; every answer comes from memory. */
export class Catalog {
  /** Registry key, e.g. `aws`. */
  readonly cloud: string;
  readonly origin: CatalogOrigin;
  /** Whether zones are known by the provider's ids (`use1-az1`) only, because the account's names for them are not known. */
  readonly hasZoneIds: boolean;
  readonly #table: CatalogTable;
  /** Rows of a type: `#rows[#starts[type] … #starts[type + 1])`, in the order of the file. */
  readonly #starts: Uint32Array;
  readonly #rows: Uint32Array;
  readonly #byName = new Map<string, number[]>();
  readonly #byAccelerator = new Map<string, number[]>();
  /** By what precedes the first dot of the name: `m6i`. */
  readonly #byFamily = new Map<string, number[]>();
  /** Spelling of each region by its lower-case form. */
  readonly #regions = new Map<string, string>();

  constructor(parts: { readonly cloud: string; readonly origin: CatalogOrigin; readonly table: CatalogTable }) {
    this.cloud = parts.cloud;
    this.origin = parts.origin;
    this.hasZoneIds = parts.table.zones.some(({ region, zone }) => zone !== undefined && !zone.startsWith(region));
    this.#table = parts.table;
    [this.#starts, this.#rows] = rowsByType(parts.table);
    parts.table.types.forEach((type, position) => {
      pushTo(this.#byName, type.name, position);
      pushTo(this.#byFamily, type.name.split(".", 1)[0] ?? "", position);
      if (type.accelerator !== undefined) pushTo(this.#byAccelerator, type.accelerator.name.toLowerCase(), position);
    });
    for (const { region } of parts.table.zones) this.#regions.set(region.toLowerCase(), region);
  }

  /** All places of all types, and those with a known price. */
  countRows(): { readonly rows: number; readonly priced: number; readonly spotPriced: number } {
    const known = (prices: Float64Array): number => prices.reduce((sum, price) => sum + (price >= 0 ? 1 : 0), 0);
    const { typeOfRow, onDemandOfRow, spotOfRow } = this.#table;
    return { rows: typeOfRow.length, priced: known(onDemandOfRow), spotPriced: known(spotOfRow) };
  }

  /** Day on which the price was what it says, `2026-07-20`. */
  priceDate(region: string, useSpot: boolean): string {
    const { spot, onDemand, onDemandByRegion } = this.origin.dates;
    return useSpot ? spot : (onDemandByRegion?.[region] ?? onDemand);
  }

  /** Every type that is sold somewhere, in the order of the file. */
  types(): readonly InstanceType[] {
    return this.#table.types.filter((_, position) => this.#isSold(position));
  }

  /** Types whose name begins with one of the families and a dot. */
  typesOfFamilies(families: readonly string[]): readonly InstanceType[] {
    return this.#sold(families.flatMap((family) => this.#byFamily.get(family) ?? []));
  }

  /** The type with exactly this name. */
  findType(name: string): InstanceType | undefined {
    const position = this.#byName.get(name)?.find((one) => this.#isSold(one));
    return position === undefined ? undefined : this.#table.types[position];
  }

  /** Alphabetical, in the catalog's spelling. */
  regions(): readonly string[] {
    return [...this.#regions.values()].sort();
  }

  /** The catalog's spelling of a region written in any case. */
  findRegion(name: string): string | undefined {
    return this.#regions.get(name.toLowerCase());
  }

  /** Alphabetical; of all regions when none is given. */
  zones(region?: string): readonly string[] {
    const wanted = region === undefined ? undefined : this.findRegion(region);
    if (region !== undefined && wanted === undefined) return [];
    const zones = this.#table.zones.filter((one) => wanted === undefined || one.region === wanted);
    return zones.flatMap(({ zone }) => zone ?? []).sort();
  }

  /** The region that a zone belongs to. */
  regionOfZone(zone: string): string | undefined {
    return this.#table.zones.find((one) => one.zone === zone)?.region;
  }

  /** Names of accelerators in the catalog's spelling, alphabetical. */
  acceleratorNames(): readonly string[] {
    const positions = [...this.#byAccelerator.values()].flatMap(([first]) => first ?? []);
    return positions.flatMap((position) => this.#table.types[position]?.accelerator?.name ?? []).sort();
  }

  /** Types with that accelerator; the name in any case, as text and whole. */
  typesWithAccelerator(name: string): readonly InstanceType[] {
    return this.#sold(this.#byAccelerator.get(name.toLowerCase()) ?? []);
  }

  /** Every place that sells the type, prices known or not, in the order of the file. */
  places(type: string, where: Where = {}): readonly Place[] {
    const places: Place[] = [];
    this.eachPrice(type, where, (row) => places.push(this.#place(row)));
    return places;
  }

  /** Places with a known price: cheapest first, then by region and zone. */
  pricedPlaces(type: string, options: Where & { readonly useSpot: boolean }): readonly Place[] {
    const priced = this.places(type, options).filter((place) => priceAt(place, options.useSpot) !== undefined);
    return priced.sort(
      (a, b) =>
        (priceAt(a, options.useSpot) ?? 0) - (priceAt(b, options.useSpot) ?? 0) ||
        compareText(a.region, b.region) ||
        compareText(a.zone ?? "", b.zone ?? ""),
    );
  }

  /** The lowest price of the type in USD per hour; undefined where none is known. */
  lowestPrice(type: string, options: Where & { readonly useSpot: boolean }): number | undefined {
    let lowest = Infinity;
    this.eachPrice(type, options, (_, onDemand, spot) => {
      const price = options.useSpot ? spot : onDemand;
      if (price < lowest) lowest = price;
    });
    return lowest === Infinity ? undefined : lowest;
  }

  /** USD per hour of one node at the place, or at the cheapest place inside it. @throws InvalidValueError */
  hourlyCost(type: string, options: Where & { readonly useSpot: boolean }): number {
    const price = this.lowestPrice(type, options);
    if (price !== undefined) return price;
    const { region, zone, useSpot } = options;
    const isSold = this.places(type, { region, zone }).length > 0;
    if (isSold) throw new InvalidValueError(`No ${useSpot ? "SpotPrice" : "Price"} found for instance type '${type}'.`);
    const place = zone !== undefined ? `zone '${zone}'` : region !== undefined ? `region '${region}'` : "all regions";
    throw new InvalidValueError(`Instance type '${type}' not found in ${place}.`);
  }

  /** Calls back for each row of a type; prices are NaN where unknown. Makes no object per row: lists of types are long. */
  eachPrice(type: string, where: Where, visit: (row: number, onDemand: number, spot: number) => void): void {
    const isInside = this.#insideOf(where);
    const { zoneOfRow, onDemandOfRow, spotOfRow } = this.#table;
    for (const position of this.#byName.get(type) ?? []) {
      const end = this.#starts[position + 1] ?? 0;
      for (let at = this.#starts[position] ?? 0; at < end; at += 1) {
        const row = this.#rows[at] ?? 0;
        if (isInside(zoneOfRow[row] ?? 0)) visit(row, onDemandOfRow[row] ?? NaN, spotOfRow[row] ?? NaN);
      }
    }
  }

  #insideOf({ region, zone }: Where): (position: number) => boolean {
    if (region === undefined && zone === undefined) return () => true;
    const spelled = region === undefined ? undefined : this.findRegion(region);
    return (position) => {
      const place = this.#table.zones[position];
      return (region === undefined || place?.region === spelled) && (zone === undefined || place?.zone === zone);
    };
  }

  #sold(positions: readonly number[]): readonly InstanceType[] {
    return positions.flatMap((position) => (this.#isSold(position) ? (this.#table.types[position] ?? []) : []));
  }

  #isSold(position: number): boolean {
    return (this.#starts[position + 1] ?? 0) > (this.#starts[position] ?? 0);
  }

  #place(row: number): Place {
    const { zones, zoneOfRow, onDemandOfRow, spotOfRow } = this.#table;
    const place = zones[zoneOfRow[row] ?? 0];
    return {
      region: place?.region ?? "",
      zone: place?.zone,
      onDemandUsd: known(onDemandOfRow[row]),
      spotUsd: known(spotOfRow[row]),
    };
  }
}

/** The price that counts, in USD per hour. */
export function priceAt(place: Place, useSpot: boolean): number | undefined {
  return useSpot ? place.spotUsd : place.onDemandUsd;
}

/** By code point, as sorting in the original does. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function known(price: number | undefined): number | undefined {
  return price === undefined || Number.isNaN(price) ? undefined : price;
}

function pushTo(index: Map<string, number[]>, key: string, position: number): void {
  const list = index.get(key);
  if (list === undefined) index.set(key, [position]);
  else list.push(position);
}

/** A counting sort of the rows by type, which keeps the file's order inside each type. */
function rowsByType({ types, typeOfRow }: CatalogTable): [Uint32Array, Uint32Array] {
  const starts = new Uint32Array(types.length + 1);
  for (const type of typeOfRow) starts[type + 1] = (starts[type + 1] ?? 0) + 1;
  for (let type = 0; type < types.length; type += 1) starts[type + 1] = (starts[type + 1] ?? 0) + (starts[type] ?? 0);
  const next = starts.slice();
  const rows = new Uint32Array(typeOfRow.length);
  for (let row = 0; row < typeOfRow.length; row += 1) {
    const type = typeOfRow[row] ?? 0;
    const at = next[type] ?? 0;
    rows[at] = row;
    next[type] = at + 1;
  }
  return [starts, rows];
}
