import { compareText, type Catalog } from "./catalog.ts";
import type { InstanceType, Where } from "./instance-type.ts";

/** What a node must be, apart from a named type. */
export interface NodeWish extends Where {
  readonly cpus?: { readonly count: number; readonly orMore: boolean } | undefined;
  /** GiB, or at least that many per vCPU when `perCpu`. */
  readonly memory?: { readonly amount: number; readonly orMore: boolean; readonly perCpu: boolean } | undefined;
  readonly accelerator?: { readonly name: string; readonly count: number } | undefined;
  /** `nvme:400+`, `ssd:100`. */
  readonly localDisk?: string | undefined;
  readonly useSpot: boolean;
  readonly maxUsdPerHour?: number | undefined;
}

/** The first filter that left nothing. */
export type Obstacle =
  | "instance type"
  | "accelerator"
  | "local disk"
  | "place"
  | "cpus"
  | "memory"
  | "unknown price"
  | "max hourly cost";

export interface PricedType {
  readonly type: InstanceType;
  /** The lowest price in the places that were asked about: spot when the wish is for spot. */
  readonly usdPerHour: number;
}

export interface TypeSelection {
  /** Cheapest first; equals by name. */
  readonly types: readonly PricedType[];
  /** Types that fit and have no known price there. */
  readonly unpriced?: readonly InstanceType[];
  /** Set when `types` is empty. */
  readonly obstacle?: Obstacle;
  /** Accelerators that come close, e.g. `A100:8`, cheapest first; only when no type has the one that was asked for. */
  readonly suggestions: readonly string[];
}

const DEFAULT_CPUS = { count: 8, orMore: true } as const;
const DEFAULT_GIB_PER_CPU = { amount: 4, orMore: false, perCpu: true } as const;
/** Counts are written by people and by price lists: 0.33 is a third. */
const COUNT_TOLERANCE = 0.01;

/** Types that have the accelerator and fit, cheapest first. */
export function selectByAccelerator(
  catalog: Catalog,
  wish: NodeWish & { readonly accelerator: NonNullable<NodeWish["accelerator"]> },
): TypeSelection {
  const { name, count } = wish.accelerator;
  const named = catalog
    .typesWithAccelerator(name)
    .filter((type) => Math.abs((type.accelerator?.count ?? 0) - count) <= COUNT_TOLERANCE);
  const offered = named.filter((type) => isSoldAt(catalog, type, wish));
  if (offered.length === 0) {
    const obstacle = named.length === 0 ? "accelerator" : "place";
    return { types: [], obstacle, suggestions: similarAccelerators(catalog, wish) };
  }
  return sieve(catalog, { wish, filters: nodeFilters(wish) }, offered);
}

/** The node itself: disk, CPUs, memory. */
function nodeFilters(wish: NodeWish): readonly NamedFilter[] {
  return [
    ["local disk", fitsDisk(wish)],
    ["cpus", fitsCpus(wish)],
    ["memory", fitsMemory(wish)],
  ];
}

/**
 * Types of the default families for a wish without accelerator. Without cpus and memory it means 8 vCPUs or more; without memory,
 * 4 GiB per vCPU. Prices are on demand even for spot, unless a limit on the cost is set: that is how the original chooses.
 */
export function selectDefault(catalog: Catalog, wish: NodeWish, families: readonly string[]): TypeSelection {
  const filled: NodeWish = {
    ...wish,
    cpus: wish.cpus ?? (wish.memory === undefined ? DEFAULT_CPUS : undefined),
    memory: wish.memory ?? DEFAULT_GIB_PER_CPU,
    useSpot: wish.useSpot && wish.maxUsdPerHour !== undefined,
  };
  const filters: readonly NamedFilter[] = [
    ["place", (type) => isSoldAt(catalog, type, filled)],
    ...nodeFilters(filled),
  ];
  return sieve(catalog, { wish: filled, filters }, catalog.typesOfFamilies(families));
}

type Filter = (type: InstanceType) => boolean;
type NamedFilter = readonly [Obstacle, Filter];

interface Sieve {
  readonly wish: NodeWish;
  readonly filters: readonly NamedFilter[];
}

/** Applies the filters in turn, then the prices; says which one left nothing. */
function sieve(catalog: Catalog, { wish, filters }: Sieve, types: readonly InstanceType[]): TypeSelection {
  let left = types;
  for (const [obstacle, filter] of filters) {
    left = left.filter(filter);
    if (left.length === 0) return { types: [], obstacle, suggestions: [] };
  }
  const priced: PricedType[] = [];
  const unpriced: InstanceType[] = [];
  for (const type of left) {
    const usdPerHour = catalog.lowestPrice(type.name, wish);
    if (usdPerHour === undefined) unpriced.push(type);
    else priced.push({ type, usdPerHour });
  }
  if (priced.length === 0) return { types: [], obstacle: "unknown price", suggestions: [] };
  const affordable = priced.filter(({ usdPerHour }) => usdPerHour <= (wish.maxUsdPerHour ?? Infinity));
  if (affordable.length === 0) return { types: [], obstacle: "max hourly cost", suggestions: [] };
  affordable.sort((a, b) => a.usdPerHour - b.usdPerHour || compareText(a.type.name, b.type.name));
  return { types: affordable, unpriced, suggestions: [] };
}

function isSoldAt(catalog: Catalog, type: InstanceType, where: Where): boolean {
  if (where.region === undefined && where.zone === undefined) return true;
  let isSold = false;
  catalog.eachPrice(type.name, where, () => {
    isSold = true;
  });
  return isSold;
}

function fitsCpus({ cpus }: NodeWish): Filter {
  if (cpus === undefined) return () => true;
  return ({ vcpus = NaN }) => (cpus.orMore ? vcpus >= cpus.count : vcpus === cpus.count);
}

function fitsMemory({ memory }: NodeWish): Filter {
  if (memory === undefined) return () => true;
  const { amount, orMore, perCpu } = memory;
  if (perCpu) return ({ memoryGib = NaN, vcpus = NaN }) => memoryGib >= vcpus * amount;
  return ({ memoryGib = NaN }) => (orMore ? memoryGib >= amount : memoryGib === amount);
}

function fitsDisk({ localDisk }: NodeWish): Filter {
  if (localDisk === undefined) return () => true;
  const [mode, size = "100+"] = localDisk.split(":");
  const wantedGb = Number.parseFloat(size);
  return ({ localDisk: disk }) => {
    if (disk?.medium !== "ssd" || (mode === "nvme" && !disk.isNvme)) return false;
    const totalGb = disk.sizeGb * disk.count;
    return size.endsWith("+") ? totalGb >= wantedGb : Math.abs(totalGb - wantedGb) < 1;
  };
}

/** Accelerators whose name contains the wanted one and that come in at least that count at the same place, cheapest first. */
function similarAccelerators(catalog: Catalog, wish: NodeWish): readonly string[] {
  const wanted = wish.accelerator?.name.toLowerCase() ?? "";
  const names = catalog.acceleratorNames().filter((name) => name.toLowerCase().includes(wanted));
  const found = names.flatMap((name) =>
    catalog.typesWithAccelerator(name).flatMap((type) => {
      const count = type.accelerator?.count ?? 0;
      if (count < (wish.accelerator?.count ?? 0) || !isSoldAt(catalog, type, wish)) return [];
      return [
        { text: `${name}:${formatCount(count)}`, price: catalog.lowestPrice(type.name, { ...wish, useSpot: false }) },
      ];
    }),
  );
  found.sort((a, b) => (a.price ?? Infinity) - (b.price ?? Infinity) || compareText(a.text, b.text));
  return [...new Set(found.map(({ text }) => text))];
}

/** Whole numbers without decimals, others with two. */
function formatCount(count: number): string {
  return Number.isInteger(count) ? String(count) : count.toFixed(2);
}
