import {
  DescribeInstanceAttributeCommand,
  DescribeInstancesCommand,
  DescribeSecurityGroupsCommand,
  DescribeVolumesCommand,
  type Instance,
} from "@aws-sdk/client-ec2";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { AwsNodes } from "../../src/clouds/aws/nodes/nodes.ts";
import type { FaultProxy } from "../support/aws/fault-proxy.ts";
import { Moto, findMoto } from "../support/aws/moto.ts";
import { freshProxy, clusterSpec, contextWith, openNodes, refOf } from "../support/aws/node-rig.ts";

let moto: Moto;
let proxy: FaultProxy;
let nodes: AwsNodes;

async function allInstances(): Promise<readonly Instance[]> {
  const answer = await moto.ec2().send(new DescribeInstancesCommand({}));
  return (answer.Reservations ?? []).flatMap((each) => each.Instances ?? []);
}

function tags(instance: Instance | undefined): Record<string, string> {
  return Object.fromEntries((instance?.Tags ?? []).map(({ Key = "", Value = "" }) => [Key, Value]));
}

describe.skipIf(findMoto() === undefined)("nodes on EC2", () => {
  beforeAll(async () => {
    moto = await Moto.start({ withNodeImages: true });
  }, 60_000);
  afterAll(() => moto.stop());
  beforeEach(async () => {
    proxy = await freshProxy(moto);
    nodes = openNodes(proxy.url);
  });
  afterEach(() => proxy.close());

  it("launches, stops, starts and terminates", async () => {
    const { context, lines } = contextWith();
    const spec = clusterSpec("mine", 2);
    const ref = refOf(spec);
    await nodes.run(spec, "token", context);
    const seen = await nodes.query(ref, context);
    expect(seen.map((one) => [one.index, one.state, one.home])).toEqual([
      [0, "running", "/home/ubuntu"],
      [1, "running", "/home/ubuntu"],
    ]);
    expect(seen[0]?.externalIp).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
    expect(seen[0]?.resources).toEqual({ cpus: 2, memoryGib: 8, accelerators: {} });
    expect(lines).toEqual([]);

    await nodes.stop(ref, context);
    const stopped = await nodes.query(ref, context);
    expect(stopped.map((one) => one.state)).toEqual(["stopped", "stopped"]);
    await nodes.run(clusterSpec("mine", 2, { create: [], start: stopped.map((one) => one.id) }), "again", context);
    const started = await nodes.query(ref, context);
    expect(started.map((one) => [one.id, one.index, one.state])).toEqual(
      seen.map((one) => [one.id, one.index, "running"]),
    );

    await nodes.terminate(ref, context);
    expect(await nodes.query(ref, context)).toEqual([]);
    await nodes.terminate(ref, context);
  });

  it("asks for what a node needs", async () => {
    const { context } = contextWith({
      labels: { team: "ml" },
      disk_encrypted: true,
      post_provision_runcmd: ["echo hi", ["ls", "/"]],
    });
    await nodes.run(
      clusterSpec("mine", 1, { labels: { team: "research" }, node: { diskTier: "high", diskGib: 100 } }),
      "token",
      context,
    );
    const [instance] = await allInstances();
    expect(instance?.ImageId).toBe("ami-0000000000000a001");
    expect(instance?.MetadataOptions).toMatchObject({ HttpTokens: "required", HttpPutResponseHopLimit: 2 });
    expect(tags(instance)).toMatchObject({
      Name: "sky-mine-0a1b2c3d-head",
      "ray-cluster-name": "mine-0a1b2c3d",
      "skypilot-cluster-name": "mine-0a1b2c3d",
      "skypilot-user": "alice",
      "ray-node-type": "head",
      "skypilot-head-node": "1",
      team: "research",
    });
    const ec2 = moto.ec2();
    const volume = (await ec2.send(new DescribeVolumesCommand({}))).Volumes?.[0];
    expect(volume).toMatchObject({ Size: 100, Encrypted: true, VolumeType: "gp3" });
    const data = await ec2.send(
      new DescribeInstanceAttributeCommand({ InstanceId: instance?.InstanceId, Attribute: "userData" }),
    );
    const text = Buffer.from(data.UserData?.Value ?? "", "base64").toString();
    expect(text).toMatch(/^#cloud-config\n/);
    expect(text).toContain("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ test");
    expect(text).toContain('"echo hi"');
  });

  it("lets in this machine by SSH and nobody else, in one group for all clusters", async () => {
    const { context } = contextWith();
    await nodes.run(clusterSpec("one", 1), "t1", context);
    await nodes.run(clusterSpec("two", 1), "t2", context);
    const groups = (await moto.ec2().send(new DescribeSecurityGroupsCommand({}))).SecurityGroups ?? [];
    const own = groups.filter((group) => group.GroupName?.startsWith("sky-sg-"));
    expect(own.map((group) => group.GroupName)).toEqual(["sky-sg-alice-7994"]);
    const rules = own[0]?.IpPermissions ?? [];
    expect(rules.map((rule) => [rule.IpProtocol, rule.FromPort, rule.IpRanges?.map((each) => each.CidrIp)])).toEqual([
      ["-1", undefined, []],
      ["tcp", 22, ["203.0.113.7/32"]],
    ]);
  });
});
