import type { BlockDeviceMapping } from "@aws-sdk/client-ec2";
import { InvalidValueError } from "../../../shared/errors.ts";
import { volumeOf, type DiskTier } from "../disk-tiers.ts";
import type { NodeImage } from "./images.ts";

export interface DiskWish {
  readonly sizeGib: number;
  readonly tier: DiskTier;
  readonly isEncrypted: boolean;
}

/** The disk that a node starts from. Throws InvalidValueError when the image does not fit on it. */
export function rootDisk(wish: DiskWish, image: NodeImage): BlockDeviceMapping {
  if (wish.sizeGib < image.minDiskGib) {
    throw new InvalidValueError(
      `disk_size ${wish.sizeGib} is smaller than the image ${image.id}, which needs ${image.minDiskGib} GiB.`,
      { hint: `Set resources.disk_size to ${image.minDiskGib} or more.` },
    );
  }
  const { type, iops, mibps } = volumeOf(wish.tier);
  return {
    DeviceName: image.rootDevice,
    Ebs: {
      VolumeSize: wish.sizeGib,
      DeleteOnTermination: true,
      VolumeType: type,
      ...(iops === undefined ? {} : { Iops: iops }),
      ...(mibps === undefined ? {} : { Throughput: mibps }),
      ...(wish.isEncrypted ? { Encrypted: true } : {}),
    },
  };
}
