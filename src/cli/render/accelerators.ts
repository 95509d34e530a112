import type { GpuOffer } from "../../client/gpus-namespace.ts";
import { renderTable } from "./table.ts";

/** What most users look for, in the order in which it is shown. */
const COMMON = [
  "A10",
  "A10G",
  "A100",
  "A100-80GB",
  "B200",
  "H100",
  "H200",
  "L4",
  "L40S",
  "RTX5090",
  "RTXPRO6000",
  "T4",
  "V100",
  "V100-32GB",
] as const;

type Counts = Readonly<Record<string, readonly number[]>>;

/** The counts in which each accelerator comes. */
export function countsOf(offers: Readonly<Record<string, readonly GpuOffer[]>>): Counts {
  const counts = Object.entries(offers).map(([name, rows]) => {
    const sizes = new Set(rows.map((row) => row.accelerator_count));
    return [name, [...sizes].sort((a, b) => a - b)] as const;
  });
  return Object.fromEntries(counts);
}

/** Tables of names and counts: the common ones, TPUs and, when asked for, all others. */
export function renderCounts(counts: Counts, options: { readonly withOthers: boolean }): readonly string[] {
  const common: readonly string[] = COMMON;
  const isTpu = (name: string): boolean => name.startsWith("tpu-");
  const names = Object.keys(counts);
  const groups: readonly (readonly [string, readonly string[]])[] = [
    ["COMMON_GPU", common.filter((name) => names.includes(name))],
    ["GOOGLE_TPU", names.filter(isTpu).sort()],
    ["OTHER_GPU", options.withOthers ? names.filter((name) => !isTpu(name) && !common.includes(name)).sort() : []],
  ];
  return groups.flatMap(([title, members]) => {
    const rows = members.map((name) => [name, (counts[name] ?? []).join(", ")]);
    return rows.length === 0 ? [] : [renderTable([title, "AVAILABLE_QUANTITIES"], rows)];
  });
}

/** One table for an accelerator. */
export function renderOffers(offers: readonly GpuOffer[], options: { readonly withRegion: boolean }): string {
  const header = [
    "GPU",
    "QTY",
    "CLOUD",
    "INSTANCE_TYPE",
    "DEVICE_MEM",
    "vCPUs",
    "HOST_MEM",
    "HOURLY_PRICE",
    "HOURLY_SPOT_PRICE",
    ...(options.withRegion ? ["REGION"] : []),
  ];
  const rows = cheapestFirst(offers).map((offer) => [
    offer.accelerator_name,
    String(offer.accelerator_count),
    offer.cloud,
    offer.instance_type ?? "(attachable)",
    gigabytes(offer.device_memory),
    amount(offer.cpu_count),
    gigabytes(offer.memory),
    dollars(offer.price),
    dollars(offer.spot_price),
    ...(options.withRegion ? [offer.region] : []),
  ]);
  return renderTable(header, rows);
}

/** Clouds by their lowest price, in each the rows by price; unknown prices last. */
function cheapestFirst(offers: readonly GpuOffer[]): readonly GpuOffer[] {
  const byCloud = Map.groupBy(offers, (offer) => offer.cloud);
  const lowest = (rows: readonly GpuOffer[]): Prices => ({
    price: Math.min(...rows.map((row) => row.price ?? Infinity)),
    spot_price: Math.min(...rows.map((row) => row.spot_price ?? Infinity)),
  });
  const clouds = [...byCloud.values()].map((rows) => rows.toSorted(comparePrices));
  return clouds.sort((a, b) => comparePrices(lowest(a), lowest(b))).flat();
}

type Prices = Pick<GpuOffer, "price" | "spot_price">;

function comparePrices(a: Prices, b: Prices): number {
  const compare = (x: number | null, y: number | null): number => (x ?? Infinity) - (y ?? Infinity) || 0;
  return compare(a.price, b.price) || compare(a.spot_price, b.spot_price);
}

function gigabytes(gib: number | null): string {
  return gib === null ? "-" : `${toFixed(gib, 0)}GB`;
}

function amount(value: number | null): string {
  if (value === null) return "-";
  return Number.isInteger(value) ? String(value) : toFixed(value, 1);
}

function dollars(price: number | null): string {
  return price === null ? "-" : `$ ${toFixed(price, 3)}`;
}

/** Like `Number.toFixed`, but what is exactly between two goes to the even one, as Python has it. */
function toFixed(value: number, digits: number): string {
  const isBetween = (value * 2 ** (digits + 1)) % 2 === 1;
  if (!isBetween) return value.toFixed(digits);
  const below = Math.floor(value * 10 ** digits);
  return ((below + (below % 2)) / 10 ** digits).toFixed(digits);
}
