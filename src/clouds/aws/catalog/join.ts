import type { Catalog, PriceDates } from "../../../catalog/catalog.ts";
import type { InstanceType } from "../../../catalog/instance-type.ts";
import { TableBuilder, type CatalogTable } from "../../../catalog/table.ts";
import type { RegionReadings } from "./region.ts";

export interface JoinedCatalog {
  readonly table: CatalogTable;
  readonly dates: PriceDates;
}

/** One row for each type and zone that sells it. A price that was not read is the one of `current`, else unknown. */
export function joinRegions(regions: ReadonlyMap<string, RegionReadings>, current: Catalog | undefined): JoinedCatalog {
  const builder = new TableBuilder();
  const positions = new Map<string, number>();
  const position = (type: InstanceType): number => {
    const known = positions.get(type.name) ?? builder.addType(type);
    positions.set(type.name, known);
    return known;
  };
  for (const [region, readings] of regions) {
    if (readings.types === undefined) keepRegion(region, current, { builder, position });
    else addRegion(region, readings, { builder, position, current });
  }
  return { table: builder.build(), dates: datesOf(regions, current) };
}

interface Target {
  readonly builder: TableBuilder;
  readonly position: (type: InstanceType) => number;
}

function addRegion(
  region: string,
  readings: RegionReadings,
  { builder, position, current }: Target & { readonly current: Catalog | undefined },
): void {
  for (const type of readings.types?.value ?? []) {
    const { name } = type;
    const known = (): number | undefined => current?.lowestPrice(name, { region, useSpot: false });
    const onDemand = readings.onDemand === undefined ? known() : readings.onDemand.value[name];
    for (const zone of readings.offerings?.value[name] ?? []) {
      const spot = readings.spot?.value[name]?.[zone] ?? NaN;
      builder.addRow(position(type), builder.zone(region, zone), { onDemand: onDemand ?? NaN, spot });
    }
  }
}

/** A region of which nothing was read keeps its rows. */
function keepRegion(region: string, current: Catalog | undefined, { builder, position }: Target): void {
  for (const type of current?.types() ?? []) {
    for (const place of current?.places(type.name, { region }) ?? []) {
      const price = { onDemand: place.onDemandUsd ?? NaN, spot: place.spotUsd ?? NaN };
      builder.addRow(position(type), builder.zone(place.region, place.zone), price);
    }
  }
}

/** The day of each region's list; of spot prices the oldest, so that nothing looks newer than it is. */
function datesOf(regions: ReadonlyMap<string, RegionReadings>, current: Catalog | undefined): PriceDates {
  const days = [...regions].map(([region, { onDemand, spot }]) => ({
    region,
    onDemand: onDemand === undefined ? (current?.priceDate(region, false) ?? "") : dayOf(onDemand.atMs),
    spot: spot === undefined ? (current?.priceDate(region, true) ?? "") : dayOf(spot.atMs),
  }));
  const newest =
    days
      .map((day) => day.onDemand)
      .sort()
      .at(-1) ?? "";
  const others = days.filter((day) => day.onDemand !== newest).map((day) => [day.region, day.onDemand] as const);
  return {
    onDemand: newest,
    spot: days.map((day) => day.spot).sort()[0] ?? "",
    onDemandByRegion: Object.fromEntries(others),
  };
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
