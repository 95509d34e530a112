import { DETAIL_COLUMNS, PLACE_COLUMNS, SIZE_COLUMNS } from "./csv-columns.ts";
import type { InstanceType } from "./instance-type.ts";
import type { CatalogTable } from "./table.ts";
import { reprFloat } from "../shared/yaml-repr.ts";

const COLUMNS = [...SIZE_COLUMNS, ...PLACE_COLUMNS, ...DETAIL_COLUMNS];

/** The text of a `vms.csv` that SkyPilot 0.14.1 reads, too: rows by type, region and zone. */
export function formatCatalogCsv(table: CatalogTable): string {
  const parts = table.types.map(typeParts);
  const lines = Array.from(table.typeOfRow, (type, row) => {
    const { name, before, after } = parts[type] ?? { name: "", before: "", after: "" };
    const { region = "", zone = "" } = table.zones[table.zoneOfRow[row] ?? 0] ?? {};
    const price = `${amount(table.onDemandOfRow[row])},${amount(table.spotOfRow[row])}`;
    return { key: `${name}\0${region}\0${zone}`, text: `${before},${price},${region},${zone},${after}` };
  });
  lines.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return `${[COLUMNS.join(","), ...lines.map(({ text }) => text)].join("\n")}\n`;
}

function typeParts(type: InstanceType): { readonly name: string; readonly before: string; readonly after: string } {
  const { accelerator, localDisk: disk } = type;
  const before = [
    quote(type.name),
    quote(accelerator?.name ?? ""),
    float(accelerator?.count),
    float(type.vcpus),
    float(type.memoryGib),
    quote(type.isGpu ? gpuInfo(type) : ""),
  ];
  const after = [
    quote(type.arch ?? ""),
    disk?.medium ?? "",
    disk?.isNvme === true ? "True" : "False",
    float(disk?.sizeGb),
    float(disk?.count),
    float(type.efaInterfaces),
  ];
  return { name: type.name, before: before.join(","), after: after.join(",") };
}

/** A Python literal; the memory is that of one device. */
function gpuInfo({ accelerator }: InstanceType): string {
  if (accelerator === undefined) return "{'Gpus': []}";
  const { name, count, memoryMib } = accelerator;
  const memory = memoryMib === undefined ? "" : `, 'MemoryInfo': {'SizeInMiB': ${memoryMib}}`;
  const total = memoryMib === undefined ? "" : `, 'TotalGpuMemoryInMiB': ${Math.round(memoryMib * Math.max(1, count))}`;
  return `{'Gpus': [{'Name': '${name.replaceAll(/['\\]/g, "")}', 'Count': ${count}${memory}}]${total}}`;
}

function amount(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? "" : String(value);
}

/** As pandas writes columns of floats, so that a diff with an older file is small. */
function float(value: number | undefined): string {
  return value === undefined ? "" : reprFloat(value);
}

function quote(text: string): string {
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
