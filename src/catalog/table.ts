import type { InstanceType } from "./instance-type.ts";

export interface CatalogZone {
  readonly region: string;
  readonly zone: string | undefined;
}

/** A catalog in columns: row i says that type `typeOfRow[i]` is sold in `zoneOfRow[i]`. Prices in USD per hour, NaN = unknown. */
export interface CatalogTable {
  /** Two entries may share a name where a file describes one type in two ways. */
  readonly types: readonly InstanceType[];
  readonly zones: readonly CatalogZone[];
  readonly typeOfRow: Uint16Array;
  readonly zoneOfRow: Uint16Array;
  readonly onDemandOfRow: Float64Array;
  readonly spotOfRow: Float64Array;
}

/** Positions of a column fit into 16 bits. */
const MAX_POSITIONS = 65_536;

/** Collects rows into columns. */
export class TableBuilder {
  readonly #types: InstanceType[] = [];
  readonly #zones: CatalogZone[] = [];
  readonly #zoneIndex = new Map<string, number>();
  readonly #typeOfRow: number[] = [];
  readonly #zoneOfRow: number[] = [];
  readonly #onDemand: number[] = [];
  readonly #spot: number[] = [];

  /** Position of the new type. @throws RangeError when there are more than 65,536 */
  addType(type: InstanceType): number {
    if (this.#types.length >= MAX_POSITIONS) throw new RangeError("The catalog has more than 65,536 instance types.");
    return this.#types.push(type) - 1;
  }

  /** Position of the zone, which is added when it is new. @throws RangeError when there are more than 65,536 */
  zone(region: string, zone: string | undefined): number {
    const key = `${region}\0${zone ?? ""}`;
    const known = this.#zoneIndex.get(key);
    if (known !== undefined) return known;
    if (this.#zones.length >= MAX_POSITIONS) throw new RangeError("The catalog has more than 65,536 zones.");
    const position = this.#zones.push({ region, zone }) - 1;
    this.#zoneIndex.set(key, position);
    return position;
  }

  /** Prices in USD per hour, NaN = unknown. */
  addRow(type: number, zone: number, price: { readonly onDemand: number; readonly spot: number }): void {
    this.#typeOfRow.push(type);
    this.#zoneOfRow.push(zone);
    this.#onDemand.push(price.onDemand);
    this.#spot.push(price.spot);
  }

  build(): CatalogTable {
    return {
      types: this.#types,
      zones: this.#zones,
      typeOfRow: Uint16Array.from(this.#typeOfRow),
      zoneOfRow: Uint16Array.from(this.#zoneOfRow),
      onDemandOfRow: Float64Array.from(this.#onDemand),
      spotOfRow: Float64Array.from(this.#spot),
    };
  }
}

/**
 * Replaces zone ids by the names that an account has for them. Zones that the account does not know vanish, and with them the regions
 * that it has not enabled.
 */
export function withZoneNames(table: CatalogTable, names: ReadonlyMap<string, string>): CatalogTable {
  const builder = new TableBuilder();
  for (const type of table.types) builder.addType(type);
  const positions = table.zones.map(({ region, zone }) => {
    const name = zone === undefined ? undefined : names.get(zone);
    return name === undefined ? undefined : builder.zone(region, name);
  });
  for (let row = 0; row < table.typeOfRow.length; row += 1) {
    const zone = positions[table.zoneOfRow[row] ?? 0];
    if (zone === undefined) continue;
    builder.addRow(table.typeOfRow[row] ?? 0, zone, {
      onDemand: table.onDemandOfRow[row] ?? NaN,
      spot: table.spotOfRow[row] ?? NaN,
    });
  }
  return builder.build();
}
