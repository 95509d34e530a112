export type DiskTier = "low" | "medium" | "high" | "ultra" | "best";

/** A kind of EBS volume. */
export interface Volume {
  readonly type: "standard" | "gp3" | "io2";
  readonly iops?: number;
  /** MiB/s; a sixteenth of the IOPS, as in 0.14.1. */
  readonly mibps?: number;
}

const DEFAULT_TIER: DiskTier = "medium";

const TIERS: Readonly<Record<DiskTier, Volume>> = {
  low: { type: "standard" },
  medium: { type: "gp3", iops: 3500, mibps: 218 },
  high: { type: "gp3", iops: 7000, mibps: 437 },
  ultra: { type: "io2", iops: 20_000 },
  best: { type: "io2", iops: 20_000 },
};

/** Reads `disk_tier`; anything unknown was refused when the task was read. */
export function diskTierOf(text: string | undefined): DiskTier {
  return text !== undefined && Object.hasOwn(TIERS, text) ? (text as DiskTier) : DEFAULT_TIER;
}

export function volumeOf(tier: DiskTier): Volume {
  return TIERS[tier];
}
