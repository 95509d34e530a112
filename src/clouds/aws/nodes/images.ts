import { DescribeImagesCommand, type Image } from "@aws-sdk/client-ec2";
import { InvalidValueError, RegionUnusableError } from "../../../shared/errors.ts";
import { matchesGlob } from "../../../shared/glob.ts";
import { partitionOf } from "../policy/document.ts";
import { assertImageFits } from "./image-fitness.ts";
import {
  familyFor,
  familyOfTag,
  sourceOf,
  type Architecture,
  type ImageFamily,
  type ImageSource,
} from "./image-families.ts";
import { codeOf, withEc2, type Region } from "./region.ts";

export interface NodeImage {
  readonly id: string;
  readonly name: string;
  /** Device of the disk that the node starts from. */
  readonly rootDevice: string;
  /** Its smallest size. */
  readonly minDiskGib: number;
  readonly architecture: string;
}

export interface ImageWish {
  readonly architecture: Architecture;
  readonly accelerators: readonly string[];
  /** `ami-…`, `skypilot:<tag>`, `docker:<image>` (the container runs on the default image); undefined = the default image. */
  readonly imageId: string | undefined;
}

/** The image for nodes. Throws RegionUnusableError when the region has none, InvalidValueError for an id that is no id. */
export async function findImage(region: Region, wish: ImageWish): Promise<NodeImage> {
  const { imageId } = wish;
  if (imageId === undefined || imageId.startsWith("docker:")) {
    return newest(region, familyFor(wish.accelerators), wish);
  }
  if (imageId.startsWith("ami-")) return describe(region, imageId, wish);
  const family = imageId.startsWith("skypilot:") ? familyOfTag(imageId) : undefined;
  if (family !== undefined) return newest(region, family, wish);
  throw new InvalidValueError(`image_id '${imageId}' is neither an AMI id nor a known image tag.`, {
    hint: "On AWS image_id is ami-…, skypilot:<tag>, docker:<image>, or a map of regions to them.",
  });
}

async function describe(region: Region, id: string, { architecture }: ImageWish): Promise<NodeImage> {
  const images = await withEc2(region, (ec2, http) =>
    ec2.send(new DescribeImagesCommand({ ImageIds: [id] }), http),
  ).catch((error: unknown) => {
    if (codeOf(error).startsWith("InvalidAMIID.")) return { Images: [] };
    throw error;
  });
  const image = images.Images?.[0];
  if (image !== undefined) {
    assertImageFits(image, { region: region.name, architecture });
    return toNodeImage(image);
  }
  const help = [
    `Image '${id}' not found in AWS region ${region.name} - can't get image size.`,
    "",
    "To find AWS AMI IDs: https://docs.aws.amazon.com/cli/latest/reference/ec2/describe-images.html#examples",
    "Example: ami-0729d913a335efca7",
  ];
  throw new RegionUnusableError(help.join("\n"), { isClean: true });
}

async function newest(region: Region, family: ImageFamily, wish: ImageWish): Promise<NodeImage> {
  const { architecture } = wish;
  const source = sourceOf(family, architecture);
  if (source === undefined) throw noImage(region, { family, architecture });
  const owner = source.owners[partitionOf(region.name)];
  const Filters = [
    { Name: "name", Values: [...source.names] },
    { Name: "architecture", Values: [architecture] },
    { Name: "state", Values: ["available"] },
  ];
  const IncludeDeprecated = source.madeBefore !== undefined;
  const answer = await withEc2(region, (ec2, http) =>
    ec2.send(new DescribeImagesCommand({ Owners: [owner], Filters, IncludeDeprecated }), http),
  );
  // A filter is a wish: only what says that it is of this owner is trusted with root on a node.
  const own = (answer.Images ?? []).filter((image) => isOf(image, owner));
  const first = best(own, source);
  if (first === undefined) throw noImage(region, { family, architecture });
  return toNodeImage(first);
}

/** Of the first name under which there is any, the newest. */
function best(images: readonly Image[], { names, madeBefore = "9999" }: ImageSource): Image | undefined {
  const rankOf = (image: Image): number => names.findIndex((pattern) => matchesGlob(pattern, image.Name ?? ""));
  const fitting = images.filter((image) => rankOf(image) !== -1 && (image.CreationDate ?? "") < madeBefore);
  const [first] = fitting.toSorted(
    (one, other) => rankOf(one) - rankOf(other) || (other.CreationDate ?? "").localeCompare(one.CreationDate ?? ""),
  );
  return first;
}

function isOf(image: Image, owner: string): boolean {
  return owner === "amazon" ? image.ImageOwnerAlias === "amazon" : image.OwnerId === owner;
}

function noImage(
  region: Region,
  what: { readonly family: ImageFamily; readonly architecture: Architecture },
): RegionUnusableError {
  return new RegionUnusableError(
    `No image (${what.family}, ${what.architecture}) found in region ${region.name}. Try setting a valid image_id.`,
    { isClean: true },
  );
}

function toNodeImage(image: Image): NodeImage {
  const rootDevice = image.RootDeviceName ?? "/dev/sda1";
  const root = image.BlockDeviceMappings?.find((each) => each.DeviceName === rootDevice);
  return {
    id: image.ImageId ?? "",
    name: image.Name ?? "",
    rootDevice,
    minDiskGib: root?.Ebs?.VolumeSize ?? 0,
    architecture: image.Architecture ?? "x86_64",
  };
}
