/**
 * The compact form of a catalog: gzip of a JSON header (types, zones, where the figures come from) and one typed column after another.
 * Rows are grouped by type; prices are whole micro-dollars, so that they come back exactly as they were written in decimals.
 */
import { gunzipSync, gzipSync } from "node:zlib";
import type { PriceDates } from "./catalog.ts";
import type { InstanceType } from "./instance-type.ts";
import type { CatalogTable, CatalogZone } from "./table.ts";

const MAGIC = 0x534b5943;
const UNKNOWN_PRICE = 0xffffffff;
const MICROS = 1_000_000;
const PREFIX_BYTES = 8;

export interface SnapshotInfo {
  readonly dates: PriceDates;
  /** One sentence per source: what comes from where, and of which day. */
  readonly sources: readonly string[];
}

interface Header extends SnapshotInfo {
  readonly types: readonly InstanceType[];
  readonly zones: readonly CatalogZone[];
  readonly rows: number;
}

export interface Snapshot {
  readonly info: SnapshotInfo;
  readonly table: CatalogTable;
}

/** @throws RangeError for a price that is no whole number of micro-dollars below 4,294 USD */
export function encodeSnapshot({ info, table }: Snapshot): Buffer {
  const rows = table.typeOfRow.length;
  // Stable: rows of a type keep their order.
  const order = Uint32Array.from({ length: rows }, (_, row) => row).sort(
    (a, b) => (table.typeOfRow[a] ?? 0) - (table.typeOfRow[b] ?? 0) || a - b,
  );
  const header: Header = { ...info, types: table.types, zones: table.zones, rows };
  const text = Buffer.from(JSON.stringify(header));
  // Columns start at a multiple of four, so that they can be read in place.
  const padded = Buffer.concat([text, Buffer.alloc((4 - (text.length % 4)) % 4, " ")]);
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32LE(MAGIC, 0);
  prefix.writeUInt32LE(padded.length, 4);
  const micros = (column: Float64Array): Buffer =>
    bytesOf(Uint32Array.from(order, (row) => toMicros(column[row] ?? NaN)));
  const short = (column: Uint16Array): Buffer => bytesOf(Uint16Array.from(order, (row) => column[row] ?? 0));
  const columns = [
    micros(table.onDemandOfRow),
    micros(table.spotOfRow),
    short(table.typeOfRow),
    short(table.zoneOfRow),
  ];
  return gzipSync(Buffer.concat([prefix, padded, ...columns]), { level: 9 });
}

function toMicros(price: number): number {
  if (Number.isNaN(price)) return UNKNOWN_PRICE;
  const micros = Math.round(price * MICROS);
  if (micros / MICROS !== price || micros >= UNKNOWN_PRICE)
    throw new RangeError(`The price ${price} is no whole number of micro-dollars.`);
  return micros;
}

function bytesOf(column: Uint32Array | Uint16Array): Buffer {
  return Buffer.from(column.buffer, column.byteOffset, column.byteLength);
}

/** @throws Error when the bytes are no snapshot */
export function decodeSnapshot(compressed: Uint8Array): Snapshot {
  const bytes = gunzipSync(compressed);
  if (bytes.readUInt32LE(0) !== MAGIC) throw new Error("This is no catalog snapshot.");
  const headerEnd = PREFIX_BYTES + bytes.readUInt32LE(4);
  const header = JSON.parse(bytes.toString("utf8", PREFIX_BYTES, headerEnd)) as Header;
  const { rows, types, zones, dates, sources } = header;
  let at = headerEnd;
  const take = (width: number): ArrayBuffer => {
    const column = new ArrayBuffer(rows * width);
    new Uint8Array(column).set(bytes.subarray(at, at + rows * width));
    at += rows * width;
    return column;
  };
  const onDemandOfRow = fromMicros(new Uint32Array(take(4)));
  const spotOfRow = fromMicros(new Uint32Array(take(4)));
  const typeOfRow = new Uint16Array(take(2));
  const zoneOfRow = new Uint16Array(take(2));
  return { info: { dates, sources }, table: { types, zones, typeOfRow, zoneOfRow, onDemandOfRow, spotOfRow } };
}

/** Division of whole numbers is exact to the last bit, so 0.0464 comes back as 0.0464. */
function fromMicros(column: Uint32Array): Float64Array {
  const prices = new Float64Array(column.length);
  // A plain loop: Float64Array.from with a function takes five times as long.
  for (let row = 0; row < column.length; row += 1) {
    const micros = column[row] ?? UNKNOWN_PRICE;
    prices[row] = micros === UNKNOWN_PRICE ? NaN : micros / MICROS;
  }
  return prices;
}
