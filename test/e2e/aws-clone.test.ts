import { DescribeImagesCommand, DescribeInstancesCommand, DescribeSnapshotsCommand } from "@aws-sdk/client-ec2";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { AwsUser } from "../support/aws/aws-user.ts";
import { MotoFleet } from "../support/aws/moto-fleet.ts";

describeWithFleet("--clone-disk-from", () => {
  let aws: MotoFleet;
  let user: AwsUser;

  beforeAll(async () => {
    aws = await MotoFleet.create();
    user = await AwsUser.create(aws);
    await user.sky("check", "aws");
    await user.sky("launch", "-y", "-c", "old", "--infra", "aws/us-east-1", "--disk-size", "100", "echo one >~/kept");
  }, 400_000);
  afterAll(async () => {
    await user.dispose();
    await aws.dispose();
  });
  afterEach(() => expect(aws.errors).toEqual([]));

  async function leftOvers(): Promise<readonly (string | undefined)[]> {
    const ec2 = aws.moto.ec2();
    const [images, snapshots] = await Promise.all([
      ec2.send(new DescribeImagesCommand({ Owners: ["self"] })),
      ec2.send(new DescribeSnapshotsCommand({ OwnerIds: ["self"] })),
    ]);
    const made = (snapshots.Snapshots ?? []).filter(({ Description = "" }) => Description.includes("CreateImage"));
    return [...(images.Images ?? []).map(({ Name }) => Name), ...made.map(({ SnapshotId }) => SnapshotId)];
  }

  it("refuses what cannot be cloned, and makes nothing", async () => {
    const fails = (...args: readonly string[]): Promise<string> =>
      user.fails("launch", "-y", "-c", "new", "--clone-disk-from", ...args, "echo no");
    expect(await fails("none")).toContain("Cluster 'none' does not exist.");
    expect(await fails("old")).toContain(
      "Cluster 'old' is UP; its disk can be cloned when it is stopped.\nhint: sky stop old",
    );
    await user.sky("stop", "-y", "old");
    expect(await fails("old", "--infra", "local")).toContain("it cannot be cloned to local");
    expect(await fails("old", "--disk-size", "50")).toContain(
      "disk_size 50 is smaller than the disk of cluster 'old' (100 GiB).",
    );
    expect(await fails("old", "--infra", "aws/us-east-1", "--image-id", "ami-0000000000000a001")).toContain(
      "image_id and --clone-disk-from",
    );
    expect(await user.fails("launch", "-y", "-c", "old", "--clone-disk-from", "old", "echo")).toContain(
      "--clone-disk-from is for a new cluster; 'old' exists.",
    );
    expect(aws.proxy.counts()["ec2:CreateImage"]).toBeUndefined();
  }, 200_000);

  it("starts a new cluster with the disk of a stopped one, and leaves nothing behind", async () => {
    const before = await leftOvers();
    const out = await user.sky("launch", "-y", "-c", "new", "--clone-disk-from", "old", "cat ~/kept; echo two >~/kept");
    expect(out).toContain("Cloned the disk of cluster old.");
    expect(out).toMatch(/\bone$/mu);
    expect(await leftOvers()).toEqual(before);
    // Nothing on the new disk lets the old cluster in, or tells what it knew.
    const inside = await user.sky("exec", "new", "cut -d' ' -f3 ~/.ssh/authorized_keys; ls ~/.sky/clusters");
    expect(inside).toMatch(/\bnew-[0-9a-f]{8}$/mu);
    expect(inside).not.toMatch(/\bold-[0-9a-f]{8}$/mu);
    const { Reservations } = await aws.moto.ec2().send(new DescribeInstancesCommand({}));
    const images = (Reservations ?? []).flatMap((each) => each.Instances ?? []).map(({ ImageId }) => ImageId);
    expect(new Set(images).size).toBe(2);
    await user.sky("start", "-y", "old");
    expect(await user.sky("exec", "old", "cat ~/kept")).toMatch(/\bone$/mu);
    await user.sky("down", "-y", "old", "new");
  }, 400_000);

  it("removes the image of a launch that fails", async () => {
    await user.sky("launch", "-y", "-c", "src", "--infra", "aws/us-east-1", "echo one >~/kept");
    await user.sky("stop", "-y", "src");
    const before = await leftOvers();
    aws.proxy.world.rules.capacity = { "*": 0 };
    expect(await user.fails("launch", "-y", "-c", "full", "--clone-disk-from", "src", "echo no")).toContain(
      "InsufficientInstanceCapacity",
    );
    aws.proxy.world.rules.capacity = {};
    expect(aws.proxy.counts()["ec2:CreateImage"]).toBe(2);
    expect(await leftOvers()).toEqual(before);
    await user.sky("down", "-y", "src");
  }, 400_000);
});
