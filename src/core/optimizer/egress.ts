/** What it costs and how long it takes to move data out of a cloud. */

import { isAzureUri } from "../task/cloud-uri.ts";

/** Gigabytes up to which a price holds, and that price in USD per gigabyte. */
interface Tier {
  readonly upToGb: number;
  readonly usdPerGb: number;
}

interface Tariff {
  /** What a month begins with at no charge. */
  readonly freeGb: number;
  readonly tiers: readonly Tier[];
}

const TARIFFS: Readonly<Record<string, Tariff>> = {
  aws: {
    freeGb: 1,
    tiers: [
      { upToGb: 10_240, usdPerGb: 0.09 },
      { upToGb: 51_200, usdPerGb: 0.085 },
      { upToGb: 153_600, usdPerGb: 0.07 },
      { upToGb: Infinity, usdPerGb: 0.05 },
    ],
  },
  azure: {
    freeGb: 1,
    tiers: [
      { upToGb: 10_240, usdPerGb: 0.0875 },
      { upToGb: 51_200, usdPerGb: 0.083 },
      { upToGb: 153_600, usdPerGb: 0.07 },
      { upToGb: Infinity, usdPerGb: 0.05 },
    ],
  },
  ibm: {
    freeGb: 0,
    tiers: [
      { upToGb: 50, usdPerGb: 0.09 },
      { upToGb: 150, usdPerGb: 0.07 },
      { upToGb: Infinity, usdPerGb: 0.05 },
    ],
  },
  oci: { freeGb: 10_240, tiers: [{ upToGb: Infinity, usdPerGb: 0.0085 }] },
};

const GBIT_PER_SECOND = 10;
const BITS_PER_BYTE = 8;

/** USD for moving that many gigabytes from a cloud to anywhere outside of it. Each gigabyte is charged once, in its own tier. */
export function egressUsd(cloud: string, gigabytes: number): number {
  if (!(gigabytes > 0)) return 0;
  if (cloud === "gcp") return gigabytes * gcpUsdPerGb(gigabytes);
  const tariff = TARIFFS[cloud];
  if (tariff === undefined) return 0;
  let usd = 0;
  let charged = Math.min(tariff.freeGb, gigabytes);
  for (const { upToGb, usdPerGb } of tariff.tiers) {
    const inTier = Math.min(gigabytes, upToGb) - charged;
    if (inTier <= 0) continue;
    usd += inTier * usdPerGb;
    charged += inTier;
  }
  return usd;
}

/** The whole volume has the price of its size there. */
function gcpUsdPerGb(gigabytes: number): number {
  if (gigabytes <= 1024) return 0.12;
  return gigabytes <= 10_240 ? 0.11 : 0.08;
}

/** Seconds at 10 Gbit/s. */
export function egressSeconds(gigabytes: number): number {
  return Math.max(0, (gigabytes * BITS_PER_BYTE) / GBIT_PER_SECOND);
}

const STORE_CLOUDS: Readonly<Record<string, string>> = {
  s3: "aws",
  gs: "gcp",
  https: "azure",
  cos: "ibm",
  oci: "oci",
  // Nothing is charged for what leaves it.
  r2: "cloudflare",
};

/** The cloud that a data URI such as `s3://bucket` lives in; undefined for others. */
export function cloudOfUri(uri: string): string | undefined {
  const scheme = /^([a-z0-9]+):\/\//.exec(uri)?.[1];
  if (scheme === "https" && !isAzureUri(uri)) return undefined;
  return scheme === undefined ? undefined : STORE_CLOUDS[scheme];
}
