import type { _InstanceType } from "@aws-sdk/client-ec2";
import { forEachParallel } from "../../../shared/parallel.ts";
import type { InstanceType } from "../../../catalog/instance-type.ts";
import type { AwsClients } from "../clients.ts";
import { toInstanceType } from "./instance-types.ts";
import type { DiskPrice } from "./disk-prices.ts";
import { fetchDiskPrice, fetchOnDemandPrices, type PriceListAccess } from "./price-list.ts";
import type { TypeBook } from "./type-book.ts";
import type { ZoneName } from "./zones.ts";

/** One reading of a kind, and when it was made. */
export interface Reading<T> {
  readonly atMs: number;
  readonly value: T;
}

/** Zones by their ids. */
export interface RegionReadings {
  readonly types?: Reading<readonly InstanceType[]>;
  /** Type → zones that sell it. */
  readonly offerings?: Reading<Readonly<Record<string, readonly string[]>>>;
  /** USD per hour. */
  readonly onDemand?: Reading<Readonly<Record<string, number>>>;
  readonly disks?: Reading<DiskPrice>;
  /** Type → zone → USD per hour. */
  readonly spot?: Reading<Readonly<Record<string, Readonly<Record<string, number>>>>>;
}

/** EC2 takes no more. */
const NAMES_PER_CALL = 100;
const PARALLEL_CALLS = 4;
const DAY_MS = 86_400_000;
/** Spot prices change by the hour, lists a few times a year. */
const MAX_AGE_MS = {
  types: 7 * DAY_MS,
  offerings: 7 * DAY_MS,
  onDemand: 7 * DAY_MS,
  disks: 7 * DAY_MS,
  spot: DAY_MS,
} as const;

export interface RegionRead {
  readonly clients: AwsClients;
  readonly prices: PriceListAccess;
  readonly zones: readonly ZoneName[];
  /** Shared by all regions of a refresh. */
  readonly types: TypeBook;
  readonly known: RegionReadings;
  readonly isForced: boolean;
  readonly nowMs: number;
  readonly signal: AbortSignal;
  /** Told why the price list cannot be read; the prices that are known stay. */
  readonly onNoPrices: (error: unknown) => void;
}

/** Reads what is not known or too old. */
export async function readRegion(region: string, read: RegionRead): Promise<RegionReadings> {
  const [sold, prices, spot] = await Promise.all([
    readSold(region, read),
    readPrices(region, read),
    fresh("spot", read, () => readSpot(region, read)),
  ]);
  return { ...sold, ...prices, spot };
}

/** Which types the region sells, in which zones, and what they are made of. */
async function readSold(region: string, read: RegionRead): Promise<Pick<RegionReadings, "types" | "offerings">> {
  const offerings = await fresh("offerings", read, () => readOfferings(region, read));
  const names = Object.keys(offerings.value);
  const types = await fresh("types", read, () => read.types.describe(names, (open) => readTypes(region, open, read)));
  return { types, offerings };
}

/** What the price list says; what it does not say is as it was. */
async function readPrices(region: string, read: RegionRead): Promise<Pick<RegionReadings, "onDemand" | "disks">> {
  const [onDemand, disks] = await Promise.allSettled([
    fresh("onDemand", read, async () => Object.fromEntries(await fetchOnDemandPrices(region, read.prices))),
    fresh("disks", read, () => fetchDiskPrice(region, read.prices)),
  ]);
  read.signal.throwIfAborted();
  const refusal = [onDemand, disks].find((one) => one.status === "rejected");
  if (refusal !== undefined) read.onNoPrices(refusal.reason);
  const { known } = read;
  return {
    ...(onDemand.status === "fulfilled" ? { onDemand: onDemand.value } : present("onDemand", known.onDemand)),
    ...(disks.status === "fulfilled" ? { disks: disks.value } : present("disks", known.disks)),
  };
}

function present<K extends string, T>(key: K, value: T | undefined): { readonly [P in K]?: T } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [P in K]?: T });
}

/** The types that were read lately. */
export function freshTypes({ types }: RegionReadings, nowMs: number): readonly InstanceType[] {
  return types === undefined || nowMs - types.atMs >= MAX_AGE_MS.types ? [] : types.value;
}

async function fresh<K extends keyof typeof MAX_AGE_MS>(
  kind: K,
  { known, isForced, nowMs }: RegionRead,
  fetch: () => Promise<NonNullable<RegionReadings[K]>["value"]>,
): Promise<NonNullable<RegionReadings[K]>> {
  const held = known[kind];
  if (held !== undefined && !isForced && nowMs - held.atMs < MAX_AGE_MS[kind]) return held;
  // The parts of a reading belong together by the key.
  return { atMs: nowMs, value: await fetch() } as NonNullable<RegionReadings[K]>;
}

async function readTypes(
  region: string,
  names: readonly string[],
  { clients, signal }: RegionRead,
): Promise<readonly InstanceType[]> {
  const { DescribeInstanceTypesCommand } = await import("@aws-sdk/client-ec2");
  const client = await clients.ec2(region);
  const calls = Array.from({ length: Math.ceil(names.length / NAMES_PER_CALL) }, (_, at) =>
    names.slice(at * NAMES_PER_CALL, (at + 1) * NAMES_PER_CALL),
  );
  const found: InstanceType[] = [];
  await forEachParallel(calls, PARALLEL_CALLS, async (some) => {
    const wish = { InstanceTypes: some as readonly string[] as _InstanceType[] };
    const answer = await client.send(new DescribeInstanceTypesCommand(wish), { abortSignal: signal });
    found.push(...(answer.InstanceTypes ?? []).map(toInstanceType));
  });
  return found;
}

async function readOfferings(
  region: string,
  { clients, signal, zones }: RegionRead,
): Promise<Readonly<Record<string, readonly string[]>>> {
  const { paginateDescribeInstanceTypeOfferings } = await import("@aws-sdk/client-ec2");
  const idOf = new Map(zones.map(({ name, id }) => [name, id]));
  const found: Record<string, string[]> = {};
  const pages = paginateDescribeInstanceTypeOfferings(
    { client: await clients.ec2(region), pageSize: 1000 },
    { LocationType: "availability-zone" },
  );
  for await (const page of pages) {
    signal.throwIfAborted();
    for (const { InstanceType: type, Location: name = "" } of page.InstanceTypeOfferings ?? []) {
      const zone = idOf.get(name);
      if (type !== undefined && zone !== undefined) (found[type] ??= []).push(zone);
    }
  }
  return found;
}

async function readSpot(
  region: string,
  { clients, signal, zones, nowMs }: RegionRead,
): Promise<Readonly<Record<string, Readonly<Record<string, number>>>>> {
  const { paginateDescribeSpotPriceHistory } = await import("@aws-sdk/client-ec2");
  const idOf = new Map(zones.map(({ name, id }) => [name, id]));
  const found: Record<string, Record<string, number>> = {};
  // Asked from now on, EC2 answers with the price that is in force.
  const pages = paginateDescribeSpotPriceHistory(
    { client: await clients.ec2(region), pageSize: 1000 },
    { ProductDescriptions: ["Linux/UNIX"], StartTime: new Date(nowMs) },
  );
  for await (const page of pages) {
    signal.throwIfAborted();
    for (const { InstanceType: type, AvailabilityZone: name = "", SpotPrice: price } of page.SpotPriceHistory ?? []) {
      const zone = idOf.get(name);
      const usd = Number(price);
      if (type !== undefined && zone !== undefined && usd > 0) (found[type] ??= {})[zone] = usd;
    }
  }
  return found;
}
