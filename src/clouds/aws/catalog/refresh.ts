import { installCatalog } from "../../../catalog/catalog-files.ts";
import type { Catalog } from "../../../catalog/catalog.ts";
import { formatCatalogCsv } from "../../../catalog/format-csv.ts";
import type { CatalogRefresh } from "../../../core/ports/cloud.ts";
import { closeWords } from "../../../shared/config/closest.ts";
import { forEachParallel } from "../../../shared/parallel.ts";
import { InvalidValueError, OperationFailedError, SkyError } from "../../../shared/errors.ts";
import type { LoadContext } from "../auth/load-context.ts";
import type { AwsClients } from "../clients.ts";
import type { DiskPrice, DiskPrices } from "./disk-prices.ts";
import { joinRegions } from "./join.ts";
import { RegionStore } from "./readings.ts";
import { freshTypes, readRegion, type RegionReadings } from "./region.ts";
import { TypeBook } from "./type-book.ts";
import { listRegions, listZones, writeZoneNames, type ZoneName } from "./zones.ts";

const PARALLEL_REGIONS = 4;

export interface AwsRefresh {
  readonly clients: AwsClients;
  readonly load: Pick<LoadContext, "agents" | "time" | "signal">;
  readonly account: string;
  /** `~/.sky/catalogs/v8` */
  readonly directory: string;
  /** What is in use: its prices stay where none can be read. */
  readonly current: Catalog | undefined;
  readonly diskPrices: DiskPrices;
}

/**
 * Reads types, zones, prices and spot prices of every region that the account has enabled, and puts the new price list in place. What
 * was read is kept region by region. A region that cannot be read keeps what is known of it; rejects when none can be read.
 */
export async function refreshAwsCatalog(wish: CatalogRefresh, refresh: AwsRefresh): Promise<void> {
  const { clients, load, account, directory, current, diskPrices } = refresh;
  const { signal } = load;
  wish.spin("Updating the AWS catalog: regions");
  const regions = await listRegions(clients, signal);
  const wanted = wish.regions ?? regions;
  requireRegions(wanted, regions);
  const store = new RegionStore(directory, account);
  const results = new Map<string, RegionResult>();
  const problems = new Problems();
  const isWanted = (region: string): boolean => wanted.includes(region);
  const show = (): void => {
    const done = [...results.keys()].filter(isWanted).length;
    wish.spin(`Updating the AWS catalog: ${progressBar(done, wanted.length)}`);
  };
  show();
  const types = new TypeBook();
  await forEachParallel(regions, PARALLEL_REGIONS, async (region) => {
    const result = await readOne(region, {
      isWanted: isWanted(region),
      isForced: wish.isForced,
      refresh,
      store,
      types,
      problems,
    });
    signal.throwIfAborted();
    results.set(region, result);
    show();
  });
  const asked = [...results].filter(([region]) => isWanted(region)).map(([, result]) => result);
  if (asked.every(({ failure }) => failure !== undefined)) {
    const cause = asked[0]?.failure;
    if (cause instanceof SkyError) throw cause;
    throw new OperationFailedError(`No region of AWS could be read: ${textOf(cause)}`, { cause });
  }
  for (const line of problems.lines()) wish.say(line);
  wish.spin("Updating the AWS catalog: writing");
  const zones = [...results.values()].flatMap((one) => one.zones);
  writeZoneNames(directory, account, zones);
  diskPrices.write(disksOf(results));
  const joined = joinRegions(new Map([...results].map(([region, one]) => [region, one.readings])), current);
  installCatalog(directory, "aws", formatCatalogCsv(joined.table), {
    dates: joined.dates,
    sources: [
      `AWS itself, as account ${account}: ${wanted.length - problems.failed.length} of ${regions.length} regions`,
    ],
  });
}

function disksOf(results: ReadonlyMap<string, RegionResult>): ReadonlyMap<string, DiskPrice> {
  return new Map(
    [...results].flatMap(([region, { readings }]) => {
      const price = readings.disks?.value;
      return price === undefined ? [] : [[region, price] as const];
    }),
  );
}

function requireRegions(wanted: readonly string[], enabled: readonly string[]): void {
  const unknown = wanted.find((region) => !enabled.includes(region));
  if (unknown === undefined) return;
  const close = [...closeWords(unknown, enabled, 5)].sort();
  throw new InvalidValueError(`The account has no region '${unknown}' enabled.`, {
    hint: close.length > 0 ? `Did you mean ${close.join(", ")}?` : `Enabled: ${enabled.join(", ")}`,
  });
}

interface RegionResult {
  readonly zones: readonly ZoneName[];
  readonly readings: RegionReadings;
  readonly failure?: unknown;
}

async function readOne(
  region: string,
  parts: {
    /** Otherwise only its zones are asked for. */
    readonly isWanted: boolean;
    readonly isForced: boolean;
    readonly refresh: AwsRefresh;
    readonly store: RegionStore;
    readonly types: TypeBook;
    readonly problems: Problems;
  },
): Promise<RegionResult> {
  const { refresh, store, problems } = parts;
  const { clients, load } = refresh;
  const known = store.read(region);
  let zones: readonly ZoneName[] = [];
  try {
    zones = await listZones(region, clients, load.signal);
    if (!parts.isWanted) return { zones, readings: known };
    // What an earlier run has read of this region need not be asked for in others; a reading that is forced trusts none of it.
    if (!parts.isForced) parts.types.add(freshTypes(known, load.time.now()));
    const readings = await readRegion(region, {
      clients,
      zones,
      types: parts.types,
      known,
      prices: { session: clients.session, load },
      isForced: parts.isForced,
      nowMs: load.time.now(),
      signal: load.signal,
      onNoPrices: (error) => problems.noPrices(region, error),
    });
    store.write(region, readings);
    return { zones, readings };
  } catch (error) {
    load.signal.throwIfAborted();
    problems.unread(region, error);
    return { zones, readings: known, failure: error };
  }
}

/** What could not be read, said once for all regions that have the same reason. */
class Problems {
  readonly failed: string[] = [];
  readonly #byReason = new Map<string, string[]>();

  unread(region: string, error: unknown): void {
    this.failed.push(region);
    this.#add(`stays as it was (${textOf(error)})`, region);
  }

  noPrices(region: string, error: unknown): void {
    this.#add(`keeps the on-demand prices that are known (${textOf(error)})`, region);
  }

  lines(): readonly string[] {
    return [...this.#byReason].map(([reason, regions]) => {
      const shown =
        regions.length > 3 ? `${regions.slice(0, 3).join(", ")} and ${regions.length - 3} more` : regions.join(", ");
      return `AWS: ${shown}: ${reason}`;
    });
  }

  #add(reason: string, region: string): void {
    this.#byReason.set(reason, [...(this.#byReason.get(reason) ?? []), region]);
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
}

const BAR_WIDTH = 24;

function progressBar(done: number, all: number): string {
  const filled = all === 0 ? 0 : Math.round((done / all) * BAR_WIDTH);
  return `${"━".repeat(filled)}${"╌".repeat(BAR_WIDTH - filled)} ${done} of ${all} regions`;
}
