import {
  CopyImageCommand,
  CreateImageCommand,
  DeleteSnapshotCommand,
  DeregisterImageCommand,
  DescribeImagesCommand,
  type Image,
} from "@aws-sdk/client-ec2";
import type { ClusterRef, DiskCopy, SavedDisk } from "../../../core/ports/cloud.ts";
import { OperationFailedError } from "../../../shared/errors.ts";
import { AwsDeniedError } from "../policy/denied-error.ts";
import { findInstances, toNodes } from "./inventory.ts";
import { codeOf, withEc2, type Region } from "./region.ts";

/** The regions that a copy has to do with; the same twice when the disk stays where it is. */
export interface CopyRegions {
  readonly source: Region;
  readonly target: Region;
}

/**
 * Makes an image of the disk of a stopped cluster's head, step by step: whoever asks comes back until it answers with the image. Images
 * have unique names in an account and region, so that asking again makes no second one.
 */
export async function saveDisk(
  { source, target }: CopyRegions,
  cluster: ClusterRef,
  copy: DiskCopy,
): Promise<SavedDisk | undefined> {
  const saved = await findSaved(source, copy.name);
  if (saved === undefined) {
    await createImage(source, cluster, copy);
    return undefined;
  }
  if (!isReady(saved)) return undefined;
  if (source.name === target.name) return toSaved(saved);
  const copied = await findSaved(target, copy.name);
  if (copied !== undefined) return isReady(copied) ? toSaved(copied) : undefined;
  await once(() =>
    withEc2(target, (ec2, http) =>
      ec2.send(
        new CopyImageCommand({
          Name: copy.name,
          ClientToken: copy.name.slice(-64),
          SourceImageId: saved.ImageId,
          SourceRegion: source.name,
        }),
        http,
      ),
    ),
  );
  return undefined;
}

/** Removes the images and their snapshots, which nodes that run do not need. */
export async function dropDisk({ source, target }: CopyRegions, { name }: DiskCopy): Promise<void> {
  const regions = source.name === target.name ? [source] : [source, target];
  await Promise.all(regions.map((region) => dropIn(region, name)));
}

async function dropIn(region: Region, name: string): Promise<void> {
  const image = await findSaved(region, name);
  if (image?.ImageId === undefined) return;
  const { ImageId } = image;
  // Looked up before: an image that is gone no longer names its snapshots.
  const snapshots = (image.BlockDeviceMappings ?? []).flatMap(({ Ebs }) => Ebs?.SnapshotId ?? []);
  await withEc2(region, (ec2, http) => ec2.send(new DeregisterImageCommand({ ImageId }), http)).catch(ignoreGone);
  for (const SnapshotId of snapshots) {
    await withEc2(region, (ec2, http) => ec2.send(new DeleteSnapshotCommand({ SnapshotId }), http)).catch(
      (error: unknown) => {
        if (!(error instanceof AwsDeniedError)) return ignoreGone(error);
        region.say(
          `The snapshot ${SnapshotId} in ${region.name}, from which the disk was cloned, is left and costs money: the credentials in use may not delete it (${error.denial.action}; sky aws policy --features clone-care). Delete it by hand.`,
        );
      },
    );
  }
}

function ignoreGone(error: unknown): void {
  if (!/^Invalid(?:AMIID|Snapshot)\./u.test(codeOf(error))) throw error;
}

async function createImage(region: Region, cluster: ClusterRef, { name }: DiskCopy): Promise<void> {
  const nodes = toNodes(cluster.nameOnCloud, await findInstances(region, [cluster.nameOnCloud]));
  const head = nodes.find(({ index }) => index === 0);
  if (head === undefined) throw new OperationFailedError(`Cluster '${cluster.clusterName}' has no node to clone.`);
  if (head.state !== "stopped") {
    throw new OperationFailedError(`The node of cluster '${cluster.clusterName}' is ${head.state}, not stopped.`, {
      hint: `sky status -r ${cluster.clusterName} && sky stop ${cluster.clusterName}`,
    });
  }
  const Description = `Disk of the SkyPilot cluster ${cluster.clusterName}`.slice(0, 255);
  await once(() =>
    withEc2(region, (ec2, http) =>
      ec2.send(new CreateImageCommand({ InstanceId: head.id, Name: name, Description, NoReboot: true }), http),
    ),
  );
}

/** An image of that name that exists already may not be seen yet: the next look finds it. */
async function once(create: () => Promise<unknown>): Promise<void> {
  try {
    await create();
  } catch (error) {
    if (codeOf(error) !== "InvalidAMIName.Duplicate") throw error;
  }
}

async function findSaved(region: Region, name: string): Promise<Image | undefined> {
  const Filters = [{ Name: "name", Values: [name] }];
  const answer = await withEc2(region, (ec2, http) =>
    ec2.send(new DescribeImagesCommand({ Owners: ["self"], Filters }), http),
  );
  return (answer.Images ?? []).find((image) => image.Name === name && image.State !== "deregistered");
}

function isReady({ State, ImageId = "", StateReason }: Image): boolean {
  if (State === "available") return true;
  if (State === "pending" || State === "transient" || State === undefined) return false;
  throw new OperationFailedError(`AWS could not save the disk (${ImageId} is ${State}): ${StateReason?.Message ?? ""}`);
}

function toSaved(image: Image): SavedDisk {
  return { imageId: image.ImageId ?? "" };
}
