import { DETAIL_COLUMNS, PLACE_COLUMNS, SIZE_COLUMNS } from "./csv-columns.ts";
import { InvalidCatalogError } from "./errors.ts";
import type { AcceleratorOfType, InstanceType, LocalDiskOfType } from "./instance-type.ts";
import { TableBuilder, type CatalogTable } from "./table.ts";

const REQUIRED = ["InstanceType", "vCPUs", "MemoryGiB", "Price", "Region"] as const;

/** Columns that describe the type; rows that agree in them share one entry. */
const TYPE_COLUMNS = [...SIZE_COLUMNS, ...DETAIL_COLUMNS];

type Fields = (column: string) => string;

/**
 * Reads a `vms.csv` in the layout of SkyPilot 0.14.1; columns are found by name. `path` is for messages.
 * @throws InvalidCatalogError naming line and column
 */
export function parseCatalogCsv(text: string, path: string): CatalogTable {
  const rows = csvRows(text);
  const header = rows.next().value ?? [];
  const missing = REQUIRED.filter((column) => !header.includes(column));
  if (missing.length > 0) throw new InvalidCatalogError(path, `line 1 lacks the column ${missing.join(", ")}`);
  const columns = new Map(header.map((name, position) => [name, position]));
  const at = (column: string): number => columns.get(column) ?? -1;
  const [priceAt, spotAt, regionAt, zoneAt] = PLACE_COLUMNS.map(at);
  // Every row is looked at, so that its columns are found once for all.
  const typeColumns = TYPE_COLUMNS.map(at);
  const builder = new TableBuilder();
  const types = new Map<string, number>();
  let line = 1;
  for (const row of rows) {
    line += 1;
    if (row.length === 1 && row[0] === "") continue;
    if (row.length !== header.length)
      throw new InvalidCatalogError(path, `line ${line} has ${row.length} fields, the header has ${header.length}`);
    const place = { path, line };
    const field = (position: number | undefined): string => row[position ?? -1] ?? "";
    const region = field(regionAt);
    if (region === "") continue;
    let key = "";
    for (const position of typeColumns) key += `${row[position] ?? ""}\0`;
    let type = types.get(key);
    if (type === undefined) {
      const fields: Fields = (column) => field(at(column));
      type = builder.addType(readType(fields, (column) => readAmount(fields(column), column, place)));
      types.set(key, type);
    }
    builder.addRow(type, builder.zone(region, field(zoneAt) || undefined), {
      onDemand: readAmount(field(priceAt), "Price", place),
      spot: readAmount(field(spotAt), "SpotPrice", place),
    });
  }
  return builder.build();
}

function readAmount(text: string, column: string, at: { readonly path: string; readonly line: number }): number {
  if (text === "") return NaN;
  const amount = Number(text);
  if (Number.isFinite(amount) && amount >= 0) return amount;
  if (text.toLowerCase() === "nan") return NaN;
  throw new InvalidCatalogError(at.path, `line ${at.line}: ${column} is '${text}', not a number`);
}

function readType(fields: Fields, amount: (column: string) => number): InstanceType {
  const known = (column: string): number | undefined => {
    const value = amount(column);
    return Number.isNaN(value) ? undefined : value;
  };
  return {
    name: fields("InstanceType"),
    vcpus: known("vCPUs"),
    memoryGib: known("MemoryGiB"),
    accelerator: readAccelerator(fields, known),
    isGpu: fields("GpuInfo") !== "",
    arch: fields("Arch") === "" ? undefined : fields("Arch"),
    localDisk: readLocalDisk(fields, known),
    efaInterfaces: known("MaximumEfaInterfaces"),
  };
}

type Known = (column: string) => number | undefined;

function readAccelerator(fields: Fields, known: Known): AcceleratorOfType | undefined {
  const name = fields("AcceleratorName");
  if (name === "") return undefined;
  return { name, count: known("AcceleratorCount") ?? 1, memoryMib: readDeviceMemory(fields("GpuInfo")) };
}

/** The first device's memory in the description, which is a Python literal. */
function readDeviceMemory(gpuInfo: string): number | undefined {
  const found = /'SizeInMiB':\s*([0-9.]+)/.exec(gpuInfo)?.[1];
  return found === undefined ? undefined : Number(found);
}

function readLocalDisk(fields: Fields, known: Known): LocalDiskOfType | undefined {
  const medium = fields("LocalDiskType").toLowerCase();
  if (medium !== "ssd" && medium !== "hdd") return undefined;
  return {
    medium,
    isNvme: fields("NVMeSupported") === "True",
    sizeGb: known("LocalDiskSize") ?? 0,
    count: known("LocalDiskCount") ?? 1,
  };
}

/** Rows of a CSV text; quoted fields may hold commas, quotes and line ends. */
function* csvRows(text: string): Generator<string[], undefined> {
  let at = 0;
  while (at < text.length) {
    const end = text.indexOf("\n", at);
    const lineEnd = end === -1 ? text.length : end;
    const line = text.slice(at, text.charCodeAt(lineEnd - 1) === 13 ? lineEnd - 1 : lineEnd);
    if (!line.includes('"')) {
      yield line.split(",");
      at = lineEnd + 1;
    } else {
      const row: string[] = [];
      at = readQuotedRow(text, at, row);
      yield row;
    }
  }
  return undefined;
}

/** Reads the row that starts at `start` into `row`; the position after it. */
function readQuotedRow(text: string, start: number, row: string[]): number {
  let at = start;
  for (;;) {
    let field: string;
    if (text[at] === '"') {
      [field, at] = readQuotedField(text, at + 1);
    } else {
      const rest = /[^,\n]*/y;
      rest.lastIndex = at;
      field = (rest.exec(text)?.[0] ?? "").replace(/\r$/, "");
      at = rest.lastIndex;
    }
    row.push(field);
    if (text[at] === "\r") at += 1;
    if (text[at] !== ",") return at + 1;
    at += 1;
  }
}

function readQuotedField(text: string, start: number): [string, number] {
  let field = "";
  let at = start;
  for (;;) {
    const quote = text.indexOf('"', at);
    if (quote === -1) return [field + text.slice(at), text.length];
    field += text.slice(at, quote);
    if (text[quote + 1] !== '"') return [field, quote + 1];
    field += '"';
    at = quote + 2;
  }
}
