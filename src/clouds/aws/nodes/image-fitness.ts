import type { Image } from "@aws-sdk/client-ec2";
import { RegionUnusableError } from "../../../shared/errors.ts";
import type { Architecture } from "./image-families.ts";

/** What nodes are to be, and where. */
interface Fit {
  readonly region: string;
  readonly architecture: Architecture;
}

/** Throws RegionUnusableError for an image of the user's that no node of that kind could start from: EC2 would say so, or nobody. */
export function assertImageFits(image: Image, fit: Fit): void {
  const why = misfitOf(image, fit);
  if (why === undefined) return;
  throw new RegionUnusableError(`Image '${image.ImageId}' in region ${fit.region} ${why}`, { isClean: true });
}

function misfitOf(image: Image, { architecture }: Fit): string | undefined {
  const { State = "available", Architecture: has = architecture, RootDeviceType: root } = image;
  if (State !== "available") {
    const reason = image.StateReason?.Message === undefined ? "" : ` (${image.StateReason.Message})`;
    return `is ${State}${reason}, not available. Wait until it is, or name another one in image_id.`;
  }
  if (has !== architecture) {
    return `is for ${has}, but the nodes are ${architecture}. Name an image for ${architecture} in image_id, or an instance type for ${has}.`;
  }
  if (image.Platform?.toLowerCase() === "windows")
    return "runs Windows. Nodes run Linux: name such an image in image_id.";
  if (root === "instance-store") {
    return "starts from an instance store. Nodes start from EBS volumes: name such an image in image_id.";
  }
  return undefined;
}
