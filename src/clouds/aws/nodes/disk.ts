import type { BlockDeviceMapping, EbsBlockDevice } from "@aws-sdk/client-ec2";
import { InvalidValueError } from "../../../shared/errors.ts";
import type { NodeImage } from "./images.ts";

export type DiskTier = "low" | "medium" | "high" | "ultra" | "best";

export interface DiskWish {
  readonly sizeGib: number;
  readonly tier: DiskTier;
  readonly isEncrypted: boolean;
}

const DEFAULT_TIER: DiskTier = "medium";

/** Throughput in MiB/s is a sixteenth of the IOPS, as in 0.14.1. */
const TIERS: Readonly<Record<DiskTier, Pick<EbsBlockDevice, "VolumeType" | "Iops" | "Throughput">>> = {
  low: { VolumeType: "standard" },
  medium: { VolumeType: "gp3", Iops: 3500, Throughput: 218 },
  high: { VolumeType: "gp3", Iops: 7000, Throughput: 437 },
  ultra: { VolumeType: "io2", Iops: 20_000 },
  best: { VolumeType: "io2", Iops: 20_000 },
};

/** Reads `disk_tier`; anything unknown was refused when the task was read. */
export function diskTierOf(text: string | undefined): DiskTier {
  return text !== undefined && Object.hasOwn(TIERS, text) ? (text as DiskTier) : DEFAULT_TIER;
}

/** The disk that a node starts from. Throws InvalidValueError when the image does not fit on it. */
export function rootDisk(wish: DiskWish, image: NodeImage): BlockDeviceMapping {
  if (wish.sizeGib < image.minDiskGib) {
    throw new InvalidValueError(
      `disk_size ${wish.sizeGib} is smaller than the image ${image.id}, which needs ${image.minDiskGib} GiB.`,
      { hint: `Set resources.disk_size to ${image.minDiskGib} or more.` },
    );
  }
  return {
    DeviceName: image.rootDevice,
    Ebs: {
      VolumeSize: wish.sizeGib,
      DeleteOnTermination: true,
      ...TIERS[wish.tier],
      ...(wish.isEncrypted ? { Encrypted: true } : {}),
    },
  };
}
