import type { InstanceType } from "../../../catalog/instance-type.ts";
import type { AwsClients } from "../clients.ts";
import { toInstanceType } from "./instance-types.ts";
import { fetchOnDemandPrices, type PriceListAccess } from "./price-list.ts";
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
  /** Type → zone → USD per hour. */
  readonly spot?: Reading<Readonly<Record<string, Readonly<Record<string, number>>>>>;
}

const DAY_MS = 86_400_000;
/** Spot prices change by the hour, lists a few times a year. */
const MAX_AGE_MS = { types: 7 * DAY_MS, offerings: 7 * DAY_MS, onDemand: 7 * DAY_MS, spot: DAY_MS } as const;

export interface RegionRead {
  readonly clients: AwsClients;
  readonly prices: PriceListAccess;
  readonly zones: readonly ZoneName[];
  readonly known: RegionReadings;
  readonly isForced: boolean;
  readonly nowMs: number;
  readonly signal: AbortSignal;
  /** Told why the price list cannot be read; the prices that are known stay. */
  readonly onNoPrices: (error: unknown) => void;
}

/** Reads what is not known or too old. */
export async function readRegion(region: string, read: RegionRead): Promise<RegionReadings> {
  const [types, offerings, onDemand, spot] = await Promise.all([
    fresh("types", read, () => readTypes(region, read)),
    fresh("offerings", read, () => readOfferings(region, read)),
    fresh("onDemand", read, async () => Object.fromEntries(await fetchOnDemandPrices(region, read.prices))).catch(
      (error: unknown) => {
        read.signal.throwIfAborted();
        read.onNoPrices(error);
        return read.known.onDemand;
      },
    ),
    fresh("spot", read, () => readSpot(region, read)),
  ]);
  return { types, offerings, ...(onDemand === undefined ? {} : { onDemand }), spot };
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

async function readTypes(region: string, { clients, signal }: RegionRead): Promise<readonly InstanceType[]> {
  const { paginateDescribeInstanceTypes } = await import("@aws-sdk/client-ec2");
  const found: InstanceType[] = [];
  const pages = paginateDescribeInstanceTypes({ client: await clients.ec2(region), pageSize: 100 }, {});
  for await (const page of pages) {
    signal.throwIfAborted();
    found.push(...(page.InstanceTypes ?? []).map(toInstanceType));
  }
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
