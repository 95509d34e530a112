/** `image_id`: a cloud image by region, a docker container, or both. */

import { InvalidValueError } from "../../shared/errors.ts";
import { isNull, keyText, type YamlNode } from "../../shared/yaml-node.ts";
import { pyStr } from "../../shared/yaml-repr.ts";
import type { Infra, Resources } from "./resources.ts";

const DOCKER_KEY = "docker";
const DOCKER_PREFIX = "docker:";

/** Images by region (null is any region); undefined for an empty map. @throws InvalidValueError */
export function parseImageId(node: YamlNode, infra: Infra): ReadonlyMap<string | null, string> | undefined {
  if (node.kind !== "mapping") {
    const image = normalise(pyStr(node), infra);
    return new Map([[infra.region ?? null, image]]);
  }
  const images = new Map<string | null, string>();
  for (const { key, value } of node.entries) {
    const region = isNull(key) ? null : keyText(key).trim();
    if (value.kind !== "scalar" || isNull(value))
      throw new InvalidValueError(`image_id must map a region to the name of an image. Found: ${pyStr(value)}`);
    const image = pyStr(value).trim();
    images.set(region, region === DOCKER_KEY ? image.replace(DOCKER_PREFIX, "") : normalise(image, infra));
  }
  checkOneMechanism(images);
  // The image for every region makes the others moot.
  const any = images.get(null);
  if (any !== undefined) return new Map([[null, any]]);
  return images.size === 0 ? undefined : images;
}

/** On Kubernetes every image is a container. */
function normalise(image: string, infra: Infra): string {
  const name = image.trim();
  return infra.cloud === "kubernetes" && !name.startsWith(DOCKER_PREFIX) ? DOCKER_PREFIX + name : name;
}

function checkOneMechanism(images: ReadonlyMap<string | null, string>): void {
  if (!images.has(DOCKER_KEY)) return;
  const prefixed = [...images].filter(([key, image]) => key !== DOCKER_KEY && image.startsWith(DOCKER_PREFIX));
  if (prefixed.length === 0) return;
  const list = prefixed.map(([region, image]) => `${image} (region: ${region ?? "None"})`).join(", ");
  throw new InvalidValueError(
    `image_id has both a 'docker' key and docker:-prefixed region values: ${list}. ` +
      "Please use only one mechanism to specify the Docker image.",
  );
}

/** The container that the task runs in, without the prefix; undefined when it runs on the machine itself. */
export function dockerImageOf(resources: Resources): string | undefined {
  const images = resources.imageId;
  if (images === undefined) return undefined;
  const image = images.get(DOCKER_KEY) ?? images.get(resources.infra.region ?? null) ?? images.get(null);
  if (images.has(DOCKER_KEY)) return image;
  const prefixed = image ?? [...images.values()].find((item) => item.startsWith(DOCKER_PREFIX));
  return prefixed?.startsWith(DOCKER_PREFIX) === true ? prefixed.slice(DOCKER_PREFIX.length) : undefined;
}

/** The image of the machine itself; undefined when any will do, as it does for a container. */
export function machineImageOf(resources: Resources): string | undefined {
  const images = [...(resources.imageId ?? [])].filter(([key]) => key !== DOCKER_KEY);
  return images.find(([, image]) => !image.startsWith(DOCKER_PREFIX))?.[1];
}

/** The regions that `image_id` names images for, and hence the only ones for the task; undefined when any will do. */
export function imageRegionsOf({ imageId }: Resources): readonly string[] | undefined {
  const regions = [...(imageId ?? new Map<string | null, string>()).keys()].filter((key) => key !== DOCKER_KEY);
  const named = regions.filter((key) => key !== null);
  return regions.length === 0 || named.length < regions.length ? undefined : named;
}
