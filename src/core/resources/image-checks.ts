import { InvalidValueError } from "../../shared/errors.ts";
import { nodeOf } from "../../shared/yaml-node.ts";
import { pyRepr } from "../../shared/yaml-repr.ts";
import { dockerImageOf, imageRegionsOf } from "./image.ts";
import type { Resources } from "./resources.ts";

/**
 * A machine's own image is of one cloud, and on some of one region: whatever does not say where it is from would be looked for
 * everywhere, and a region without one would start with another image. @throws InvalidValueError
 */
export function checkMachineImage(resources: Resources): void {
  const { imageId, infra } = resources;
  if (imageId === undefined || dockerImageOf(resources) !== undefined) return;
  if (infra.cloud === undefined) throw new InvalidValueError("Cloud must be specified when image_id is provided.");
  const regions = imageRegionsOf(resources);
  if (infra.region !== undefined && regions !== undefined && !regions.includes(infra.region)) {
    throw new InvalidValueError(
      `image_id ${pyRepr(nodeOf(imageId))} should contain the image for the specified region ${infra.region}.`,
    );
  }
  const anywhere = imageId.get(null);
  if (infra.cloud === "aws" && infra.region === undefined && anywhere?.startsWith("skypilot:") === false) {
    throw new InvalidValueError(
      "image_id is only supported for AWS in a specific region, please explicitly specify the region.",
    );
  }
}
