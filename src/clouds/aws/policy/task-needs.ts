import type { AwsCapability, Feature } from "../actions.ts";
import { ecrRegistryOf } from "../ecr-login.ts";

/** What a task asks of an AWS account. */
export interface TaskNeeds {
  readonly features: readonly Feature[];
  readonly capabilities: readonly AwsCapability[];
  /** Buckets that it names, existing or to be made. */
  readonly buckets: readonly string[];
  /** The region that it names, when it names one. */
  readonly region: string | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

/** Capabilities that the permissions of a feature are for. */
const CAPABILITIES_OF: Readonly<Record<Feature, readonly AwsCapability[]>> = {
  launch: ["launch", "stop-start", "terminate"],
  spot: ["spot"],
  ports: ["ports"],
  role: ["role"],
  efa: [],
  "clone-disk": ["clone-disk"],
  "clone-care": ["clone-disk"],
  ssm: ["ssm"],
  s3: ["s3-read", "s3-write"],
  buckets: ["buckets"],
  "bucket-care": ["buckets"],
  mounts: [],
  ecr: [],
  kms: [],
  explain: [],
};

/** Reads what a task (or each of several documents) and the `aws` section of the config need, leaving alone what it does not know. */
export function needsOf(documents: readonly Fields[], aws: Fields): TaskNeeds {
  const resources = documents.flatMap(candidatesOf);
  const storages = documents.flatMap(storagesOf);
  const features = new Set<Feature>(["launch"]);
  if (resources.some((each) => each["use_spot"] === true)) features.add("spot");
  if (resources.some((each) => hasPorts(each["ports"])) || documents.some((each) => isFields(each["service"]))) {
    features.add("ports");
  }
  if (resources.some((each) => each["network_tier"] === "best")) features.add("efa");
  if (resources.some((each) => usesEcr(each["image_id"]))) features.add("ecr");
  if (usesSsm(aws)) features.add("ssm");
  if (storages.length > 0) features.add("s3");
  if (storages.some((each) => each.isMade)) features.add("buckets");
  if (documents.some(hasMounts)) features.add("mounts");
  const capabilities = [...features].flatMap((feature) => CAPABILITIES_OF[feature]);
  if (aws["vpc_names"] !== undefined || aws["vpc_name"] !== undefined || aws["subnet_names"] !== undefined) {
    capabilities.push("vpc");
  }
  return {
    features: [...features],
    capabilities,
    buckets: [...new Set(storages.filter((each) => !each.isMade).map((each) => each.bucket))],
    region: resources.map(regionOf).find((each) => each !== undefined),
  };
}

/** Whether nodes are reached through Session Manager: asked for, or the only way that is left. */
export function usesSsm(aws: Fields): boolean {
  if (aws["use_ssm"] === false) return false;
  return aws["use_ssm"] === true || (aws["use_internal_ips"] === true && !aws["ssh_proxy_command"]);
}

/** `resources` and every alternative in it. */
function candidatesOf(document: Fields): readonly Fields[] {
  const resources = document["resources"];
  if (!isFields(resources)) return [];
  const alternatives = [resources["any_of"], resources["ordered"]].flat().filter(isFields);
  return [resources, ...alternatives];
}

function hasPorts(ports: unknown): boolean {
  if (Array.isArray(ports)) return ports.length > 0;
  return ports !== undefined && ports !== null && ports !== "";
}

/** `image_id` is one image, or one for each region. */
function usesEcr(imageId: unknown): boolean {
  const images = isFields(imageId) ? Object.values(imageId) : [imageId];
  return images.some(
    (image) =>
      typeof image === "string" &&
      image.startsWith("docker:") &&
      ecrRegistryOf(image.slice("docker:".length)) !== undefined,
  );
}

function regionOf(resources: Fields): string | undefined {
  const { infra, region } = resources;
  if (typeof region === "string" && region !== "") return region;
  const [cloud, named] = typeof infra === "string" ? infra.split("/") : [];
  return cloud === "aws" && named !== undefined && named !== "*" && named !== "" ? named : undefined;
}

interface Storage {
  readonly bucket: string;
  readonly isMade: boolean;
}

function storagesOf(document: Fields): readonly Storage[] {
  const mounts = document["file_mounts"];
  if (!isFields(mounts)) return [];
  return Object.values(mounts).flatMap((mount) => {
    if (!isFields(mount)) return existing(mount);
    const source = existing(mount["source"]);
    if (source.length > 0) return source;
    const store = mount["store"];
    const isOnS3 = store === undefined || (typeof store === "string" && store.toLowerCase() === "s3");
    return typeof mount["name"] === "string" && isOnS3 ? [{ bucket: mount["name"], isMade: true }] : [];
  });
}

/** Whether nodes see a bucket through to where it is, instead of a copy. */
function hasMounts(document: Fields): boolean {
  const mounts = document["file_mounts"];
  if (!isFields(mounts)) return false;
  return Object.values(mounts).some(
    (mount) => isFields(mount) && mount["mode"] !== "COPY" && storagesOf({ file_mounts: { mount } }).length > 0,
  );
}

function existing(source: unknown): readonly Storage[] {
  const bucket = typeof source === "string" ? /^s3:\/\/([^/]+)/u.exec(source)?.[1] : undefined;
  return bucket === undefined ? [] : [{ bucket, isMade: false }];
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
