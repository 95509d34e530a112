/** Which image nodes start from: what a launch asks AWS for, and what it refuses before it costs anything. */
import { DescribeImagesCommand, RegisterImageCommand } from "@aws-sdk/client-ec2";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { FaultProxy } from "../support/aws/fault-proxy.ts";
import { findMoto, Moto } from "../support/aws/moto.ts";
import { freshProxy } from "../support/aws/node-rig.ts";
import { RequestUser } from "../support/aws/request-user.ts";

const ZONE = ["--infra", "aws/us-east-1/us-east-1a"];

describe.skipIf(findMoto() === undefined)("the image of nodes on EC2", () => {
  let moto: Moto;
  let proxy: FaultProxy;
  let user: RequestUser;
  /** An image of the user's in each of two regions. */
  const own: Record<string, string> = {};

  beforeAll(async () => {
    moto = await Moto.start({ withNodeImages: true });
    proxy = await freshProxy(moto);
    // The default VPC of us-east-1 is connected already.
    await moto.connectDefaultVpc("us-west-2");
    for (const region of ["us-east-1", "us-west-2"]) {
      const made = await moto.ec2(region).send(new RegisterImageCommand({ Name: `own-${region}` }));
      own[region] = made.ImageId ?? "";
    }
    user = await RequestUser.create(proxy);
  }, 120_000);
  afterAll(async () => {
    await user?.sandbox.dispose();
    await proxy?.close();
    moto?.stop();
  });

  async function nameOf(id: string | null): Promise<string> {
    const answer = await moto.ec2().send(new DescribeImagesCommand({ ImageIds: [id ?? ""] }));
    return answer.Images?.[0]?.Name ?? "";
  }

  it.each([
    [["--cpus", "2"], "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20261001"],
    [["--instance-type", "m7g.large"], "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-arm64-server-20261001"],
    [["--gpus", "L4:1"], "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04) 20261001"],
    [["--instance-type", "g5g.xlarge"], "Deep Learning ARM64 Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04) 20261006"],
    [["--gpus", "Inferentia2:1"], "Deep Learning AMI Neuron (Ubuntu 24.04) 20260818"],
    [["--gpus", "Inferentia:1"], "Deep Learning AMI Neuron (Ubuntu 22.04) 20250919"],
    [
      ["--cpus", "2", "--image-id", "skypilot:custom-gpu-ubuntu"],
      "Deep Learning Base Proprietary Nvidia Driver GPU AMI (Ubuntu 20.04) 20240429",
    ],
    [
      ["--cpus", "2", "--image-id", "skypilot:ubuntu-2404"],
      "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20261001",
    ],
    [
      ["--cpus", "2", "--image-id", "docker:ubuntu:24.04"],
      "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20261001",
    ],
  ])(
    "for %j is the newest of its publisher",
    async (args, name) => {
      const [{ params }] = await user.launches(...ZONE, ...args, "echo");
      expect(await nameOf(params.get("ImageId"))).toBe(name);
    },
    60_000,
  );

  it("is the user's own, by id, and by region, and no other region is tried", async () => {
    const [one] = await user.launches(...ZONE, "--cpus", "2", "--image-id", own["us-east-1"] ?? "", "echo");
    expect(one.params.get("ImageId")).toBe(own["us-east-1"]);
    const map = `{us-east-1: ${own["us-east-1"]}, us-west-2: ${own["us-west-2"]}}`;
    const task = user.sandbox.write("regions.yaml", `resources: {infra: aws, cpus: 2, image_id: ${map}}\nrun: echo\n`);
    const sent = await user.launches(task);
    expect([...new Set(sent.map(({ region, params }) => `${region} ${params.get("ImageId")}`))].toSorted()).toEqual([
      `us-east-1 ${own["us-east-1"]}`,
      `us-west-2 ${own["us-west-2"]}`,
    ]);
  }, 60_000);

  it("is refused before anything is launched when it cannot be started, or is of nowhere", async () => {
    const id = (name = ""): readonly string[] => [...ZONE, "--cpus", "2", "--image-id", name, "echo"];
    expect(await user.refusal(...id("ami-0000000000000a002"))).toContain(
      "Image 'ami-0000000000000a002' in region us-east-1 is for arm64, but the nodes are x86_64.",
    );
    expect(await user.refusal(...id("ami-00000000000000000"))).toContain(
      "Image 'ami-00000000000000000' not found in AWS region us-east-1",
    );
    expect(await user.refusal(...id("ubuntu"))).toContain("image_id 'ubuntu' is neither an AMI id");
    expect(await user.refusal(...id(own["us-west-2"]))).toContain("not found in AWS region us-east-1");
    expect(await user.refusal("--disk-size", "10", ...id(own["us-east-1"]))).toContain(
      `disk_size 10 is smaller than the image ${own["us-east-1"]}, which needs 15 GiB.`,
    );
    const map = `{us-east-1: ${own["us-east-1"]}}`;
    const elsewhere = user.sandbox.write(
      "other.yaml",
      `resources: {infra: aws/us-west-2, image_id: ${map}}\nrun: echo\n`,
    );
    expect(await user.refusal(elsewhere)).toContain(
      `image_id {'us-east-1': '${own["us-east-1"]}'} should contain the image for the specified region us-west-2.`,
    );
    expect(await user.refusal("--infra", "aws", "--image-id", own["us-east-1"] ?? "", "echo")).toContain(
      "image_id is only supported for AWS in a specific region, please explicitly specify the region.",
    );
    expect(await user.refusal("--image-id", own["us-east-1"] ?? "", "echo")).toContain(
      "Cloud must be specified when image_id is provided.",
    );
  }, 120_000);
});
