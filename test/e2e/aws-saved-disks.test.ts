import { DescribeImagesCommand } from "@aws-sdk/client-ec2";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { AwsNodes } from "../../src/clouds/aws/nodes/nodes.ts";
import type { CloudContext, SavedDisk } from "../../src/core/ports/cloud.ts";
import type { FaultProxy } from "../support/aws/fault-proxy.ts";
import { type Fault, type SeenCall } from "../support/aws/fault-proxy.ts";
import { findMoto, Moto } from "../support/aws/moto.ts";
import { freshProxy, clusterSpec, contextWith, openNodes, refOf } from "../support/aws/node-rig.ts";

const spec = clusterSpec("old", 1);
const ref = refOf(spec);

let moto: Moto;
let proxy: FaultProxy;
let nodes: AwsNodes;

async function saved(region: string, context: CloudContext): Promise<SavedDisk> {
  for (let look = 0; look < 9; look++) {
    const disk = await nodes.savedDisks.save(ref, { name: "skypilot-clone-1", region }, context);
    if (disk !== undefined) return disk;
  }
  throw new Error("The disk is never ready.");
}

async function imagesIn(region: string): Promise<readonly (string | undefined)[]> {
  const { Images } = await moto.ec2(region).send(new DescribeImagesCommand({ Owners: ["self"] }));
  return (Images ?? []).flatMap((image) => (image.Name === "skypilot-clone-1" ? [image.ImageId] : []));
}

function lostOnce(action: string): (call: SeenCall) => Fault | undefined {
  let left = 1;
  return (call) => (call.action === action && left-- > 0 ? { kind: "lose" } : undefined);
}

describe.skipIf(findMoto() === undefined)("disks that are saved on EC2", () => {
  beforeAll(async () => {
    moto = await Moto.start({ withNodeImages: true });
  }, 60_000);
  afterAll(() => moto.stop());
  beforeEach(async () => {
    proxy = await freshProxy(moto);
    nodes = openNodes(proxy.url);
    await nodes.run(spec, "token", contextWith().context);
  });
  afterEach(() => proxy.close());

  it("are made once although the answer is lost, and go with their snapshots", async () => {
    const { context } = contextWith();
    await nodes.stop(ref, context);
    proxy.faultOf = lostOnce("ec2:CreateImage");
    const disk = await saved("us-east-1", context);
    expect(await imagesIn("us-east-1")).toEqual([disk.imageId]);
    const copy = { name: "skypilot-clone-1", region: "us-east-1" };
    await nodes.savedDisks.drop(ref, copy, context);
    await nodes.savedDisks.drop(ref, copy, context);
    expect(await imagesIn("us-east-1")).toEqual([]);
    expect(proxy.counts()).toMatchObject({ "ec2:DeregisterImage": 1, "ec2:DeleteSnapshot": 1 });
  });

  it("are copied to another region, and nothing is left in either", async () => {
    const { context } = contextWith();
    await nodes.stop(ref, context);
    proxy.faultOf = lostOnce("ec2:CopyImage");
    const disk = await saved("eu-west-1", context);
    expect(await imagesIn("eu-west-1")).toEqual([disk.imageId]);
    await nodes.savedDisks.drop(ref, { name: "skypilot-clone-1", region: "eu-west-1" }, context);
    expect([await imagesIn("us-east-1"), await imagesIn("eu-west-1")]).toEqual([[], []]);
  });

  it("are not made of a node that runs", async () => {
    await expect(saved("us-east-1", contextWith().context)).rejects.toMatchObject({
      message: "The node of cluster 'old' is running, not stopped.",
      hint: "sky status -r old && sky stop old",
    });
  });

  it("leave a snapshot, and say so, where it may not be deleted", async () => {
    const { context, lines } = contextWith();
    await nodes.stop(ref, context);
    await saved("us-east-1", context);
    const message = "User: arn:aws:iam::123456789012:user/ann is not authorized to perform: ec2:DeleteSnapshot";
    proxy.faultOf = ({ action }) =>
      action === "ec2:DeleteSnapshot"
        ? { kind: "refuse", status: 403, code: "UnauthorizedOperation", message }
        : undefined;
    await nodes.savedDisks.drop(ref, { name: "skypilot-clone-1", region: "us-east-1" }, context);
    expect(await imagesIn("us-east-1")).toEqual([]);
    expect(lines).toEqual([expect.stringMatching(/^The snapshot snap-\w+ in us-east-1, .* is left and costs money/u)]);
  });
});
