import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../../platform/atomic-file.ts";

/** Of general-purpose (gp3) volumes, in USD per month. */
export interface DiskPrice {
  readonly perGb: number;
  /** Beyond the 3,000 that are in the price. */
  readonly perIops: number;
  /** MiB/s beyond the 125 that are in the price. */
  readonly perMibps: number;
}

const INCLUDED = { iops: 3000, mibps: 125 } as const;
const HOURS_PER_MONTH = 730;

/** As the price page of EBS lists them (2025). A region that is not here has a price that is not known until it is read from AWS. */
const BUNDLED_USD: DiskPrice = { perGb: 0.08, perIops: 0.005, perMibps: 0.04 };
const BUNDLED: Readonly<Record<string, DiskPrice>> = {
  "us-east-1": BUNDLED_USD,
  "us-east-2": BUNDLED_USD,
  "us-west-2": BUNDLED_USD,
};

/** USD per hour of one volume. */
export function diskUsdPerHour(
  disk: { readonly gib: number; readonly iops: number; readonly mibps: number },
  price: DiskPrice,
): number {
  const perMonth =
    disk.gib * price.perGb +
    Math.max(0, disk.iops - INCLUDED.iops) * price.perIops +
    Math.max(0, disk.mibps - INCLUDED.mibps) * price.perMibps;
  return perMonth / HOURS_PER_MONTH;
}

const HEADER = "VolumeType,Region,UsdPerGbMonth,UsdPerIopsMonth,UsdPerMibpsMonth";

/** Prices of disks by region: what a refresh has written, else those that are bundled. Read again when the file changes. */
export class DiskPrices {
  readonly #path: string;
  #loaded: { readonly stamp: string; readonly prices: ReadonlyMap<string, DiskPrice> } | undefined;

  /** `directory` is `~/.sky/catalogs/v8`. */
  constructor(directory: string) {
    this.#path = join(directory, "aws", "disk_prices.csv");
  }

  find(region: string): DiskPrice | undefined {
    return this.#read().get(region) ?? BUNDLED[region];
  }

  /** Puts what was read in place; regions that are not in it keep their prices. */
  write(prices: ReadonlyMap<string, DiskPrice>): void {
    const rows = [...new Map([...this.#read(), ...prices])].map(
      ([region, { perGb, perIops, perMibps }]) => `gp3,${region},${perGb},${perIops},${perMibps}`,
    );
    writeFileAtomic(this.#path, `${[HEADER, ...rows.toSorted()].join("\n")}\n`);
  }

  #read(): ReadonlyMap<string, DiskPrice> {
    const stat = statSync(this.#path, { throwIfNoEntry: false });
    if (stat === undefined) return new Map();
    const stamp = `${stat.mtimeMs}:${stat.size}`;
    if (this.#loaded?.stamp !== stamp) this.#loaded = { stamp, prices: parse(readFileSync(this.#path, "utf8")) };
    return this.#loaded.prices;
  }
}

/** A row that says nothing is no reason to refuse a plan: the price of that region is then not known. */
function parse(text: string): ReadonlyMap<string, DiskPrice> {
  const rows = text.split("\n").flatMap((line): [string, DiskPrice][] => {
    const [type, region = "", ...figures] = line.trim().split(",");
    const [perGb = NaN, perIops = NaN, perMibps = NaN] = figures.map(Number);
    const isPrice = type === "gp3" && [perGb, perIops, perMibps].every((usd) => usd >= 0);
    return isPrice ? [[region, { perGb, perIops, perMibps }]] : [];
  });
  return new Map(rows);
}
