/** What each setting of nodes on EC2 does to the request that reaches AWS. */
import { CreateSubnetCommand, CreateVpcCommand, DescribeSecurityGroupsCommand } from "@aws-sdk/client-ec2";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { FaultProxy } from "../support/aws/fault-proxy.ts";
import { findMoto, Moto } from "../support/aws/moto.ts";
import { freshProxy } from "../support/aws/node-rig.ts";
import { RequestUser, type SentLaunch } from "../support/aws/request-user.ts";

const PLACE = ["--infra", "aws/us-east-1/us-east-1a", "--cpus", "2"];
const TARGET = "CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationId";
const ROLE = "arn:aws:iam::123456789012:instance-profile/skypilot-v1";

describe.skipIf(findMoto() === undefined)("a launch on EC2 asks AWS for", () => {
  let moto: Moto;
  let proxy: FaultProxy;
  let user: RequestUser;
  /** Of the VPC `research`, in us-east-1a. */
  let subnetId = "";

  beforeAll(async () => {
    moto = await Moto.start({ withNodeImages: true });
    proxy = await freshProxy(moto);
    await moto.createRole("skypilot-v1");
    const ec2 = moto.ec2();
    const TagSpecifications = [{ ResourceType: "vpc" as const, Tags: [{ Key: "Name", Value: "research" }] }];
    const VpcId = (await ec2.send(new CreateVpcCommand({ CidrBlock: "10.77.0.0/16", TagSpecifications }))).Vpc?.VpcId;
    const place = { VpcId, CidrBlock: "10.77.1.0/24", AvailabilityZone: "us-east-1a" };
    subnetId = (await ec2.send(new CreateSubnetCommand(place))).Subnet?.SubnetId ?? "";
    user = await RequestUser.create(proxy);
  }, 120_000);
  afterAll(async () => {
    await user?.sandbox.dispose();
    await proxy?.close();
    moto?.stop();
  });
  beforeEach(() => {
    proxy.world.rules.reservations = [];
  });

  /** The launch of a cluster with that `aws` section. */
  async function launch(aws: string, ...args: readonly string[]): Promise<SentLaunch> {
    user.configure(aws);
    return (await user.launches(...PLACE, ...args, "echo"))[0];
  }

  async function groupOf({ params }: SentLaunch): Promise<string> {
    const id = params.get("NetworkInterface.1.SecurityGroupId.1") ?? "";
    const answer = await moto.ec2().send(new DescribeSecurityGroupsCommand({ GroupIds: [id] }));
    return answer.SecurityGroups?.[0]?.GroupName ?? "";
  }

  const profileOf = ({ params }: SentLaunch): string | null =>
    params.get("IamInstanceProfile.Name") ?? params.get("IamInstanceProfile.Arn");

  it.each([
    ["low", { VolumeType: "standard" }],
    ["medium", { VolumeType: "gp3", Iops: "3500", Throughput: "218" }],
    ["high", { VolumeType: "gp3", Iops: "7000", Throughput: "437" }],
    ["ultra", { VolumeType: "io2", Iops: "20000" }],
    ["best", { VolumeType: "io2", Iops: "20000" }],
  ])("the disk of tier %s", async (tier, volume) => {
    const { disk } = await launch("", "--disk-tier", tier, "--disk-size", "77");
    expect(disk).toEqual({ VolumeSize: "77", DeleteOnTermination: "true", ...volume });
  });

  it("disk_encrypted and labels, those of the task before those of the config", async () => {
    const task = user.sandbox.write(
      "labels.yaml",
      "resources: {infra: aws/us-east-1/us-east-1a, cpus: 2, labels: {team: research, own: x}}\nrun: echo\n",
    );
    user.configure("disk_encrypted: true\nlabels: {team: ml, cost: '7'}");
    const [{ disk, tags }] = await user.launches(task);
    expect(disk["Encrypted"]).toBe("true");
    expect(tags).toMatchObject({ team: "research", own: "x", cost: "7" });
  });

  it("the group that security_group_name names, for all clusters or by their names", async () => {
    expect(await groupOf(await launch("security_group_name: ours"))).toBe("ours");
    const list = "security_group_name:\n  - dev-*: developers\n  - '*': everybody";
    expect(await groupOf(await launch(list, "-c", "dev-1"))).toBe("developers");
    expect(await groupOf(await launch(list, "-c", "prod"))).toBe("everybody");
    expect(await groupOf(await launch(""))).toMatch(/^sky-sg-/u);
  });

  it("the instance profile that remote_identity means", async () => {
    expect(profileOf(await launch(""))).toBe(ROLE);
    for (const word of ["LOCAL_CREDENTIALS", "SERVICE_ACCOUNT", "NO_UPLOAD"]) {
      expect(profileOf(await launch(`remote_identity: ${word}`)), word).toBe(ROLE);
    }
    expect(profileOf(await launch("remote_identity: team-profile"))).toBe("team-profile");
    const list = "remote_identity:\n  - train-*: trainers\n  - '*': SERVICE_ACCOUNT";
    expect(profileOf(await launch(list, "-c", "train-1"))).toBe("trainers");
    expect(profileOf(await launch(list, "-c", "other"))).toBe(ROLE);
  });

  it("nothing more when that profile does not exist, and says so once", async () => {
    const hasRoom = proxy.faultOf;
    const message =
      "Value (nobody) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name";
    proxy.faultOf = ({ action }) =>
      action === "ec2:RunInstances"
        ? { kind: "refuse", status: 400, code: "InvalidParameterValue", message }
        : undefined;
    user.configure("remote_identity: nobody");
    const before = proxy.counts()["ec2:RunInstances"] ?? 0;
    const { stdout, stderr, exitCode } = await user.sandbox.sky([
      "launch",
      "-y",
      "--infra",
      "aws",
      "--cpus",
      "2",
      "echo",
    ]);
    proxy.faultOf = hasRoom;
    expect(exitCode).toBe(1);
    expect((proxy.counts()["ec2:RunInstances"] ?? 0) - before).toBe(1);
    expect(stdout + stderr).toContain(message);
  });

  it("commands of post_provision_runcmd, in user data", async () => {
    const { userData } = await launch("post_provision_runcmd:\n  - \"echo 'a: b'\"\n  - [touch, /tmp/x y]");
    const document = JSON.parse(userData.slice(userData.indexOf("\n"))) as { readonly runcmd: readonly unknown[] };
    expect(document.runcmd.slice(0, 2)).toEqual(["echo 'a: b'", ["touch", "/tmp/x y"]]);
  });

  it("what region_configs says of its region, and nothing of what it says of others", async () => {
    const regional = `vpc_names: missing
labels: {place: everywhere}
region_configs:
  us-east-1:
    vpc_names: [missing, research]
    use_internal_ips: true
    ssh_proxy_command: nc %h %p
    security_group_name: inner
    remote_identity: inner-profile
    disk_encrypted: true
    labels: {place: here}
  us-west-2:
    labels: {place: there}`;
    const sent = await launch(regional);
    expect(sent.params.get("NetworkInterface.1.SubnetId")).toBe(subnetId);
    expect(sent.params.get("NetworkInterface.1.AssociatePublicIpAddress")).toBe("false");
    expect([await groupOf(sent), profileOf(sent), sent.disk["Encrypted"], sent.tags["place"]]).toEqual([
      "inner",
      "inner-profile",
      "true",
      "here",
    ]);
  });

  it("what the task's own config says, before all others", async () => {
    user.configure(
      "vpc_names: research\nuse_internal_ips: true\nssh_proxy_command: nc %h %p\nregion_configs:\n  us-east-1: {remote_identity: regional, security_group_name: regional}",
    );
    const task = user.sandbox.write(
      "own.yaml",
      `resources: {infra: aws/us-east-1/us-east-1a, cpus: 2}
config:
  aws:
    vpc_names: null
    use_internal_ips: false
    remote_identity: of-the-task
    security_group_name: of-the-task
run: echo
`,
    );
    const [sent] = await user.launches(task);
    expect(sent.params.get("NetworkInterface.1.SubnetId")).not.toBe(subnetId);
    expect(sent.params.get("NetworkInterface.1.AssociatePublicIpAddress")).toBe("true");
    expect([await groupOf(sent), profileOf(sent)]).toEqual(["of-the-task", "of-the-task"]);
  });

  it("capacity that is paid for: open, targeted, and a block by its own market", async () => {
    proxy.world.rules.reservations = [
      { id: "cr-mine", type: "m6i.large", zone: "us-east-1a", free: 1 },
      { id: "cb-1", type: "m6i.large", zone: "us-east-1a", free: 1, isBlock: true },
    ];
    const marketOf = ({ params }: SentLaunch): readonly (string | null)[] => [
      params.get(TARGET),
      params.get("InstanceMarketOptions.MarketType"),
    ];
    expect(marketOf(await launch("specific_reservations: [cr-mine]"))).toEqual(["cr-mine", null]);
    expect(marketOf(await launch("specific_reservations: [cb-1]"))).toEqual(["cb-1", "capacity-block"]);
    expect(marketOf(await launch("specific_reservations: [cb-1]", "--use-spot"))).toEqual([null, "spot"]);
    const { params } = await launch("prioritize_reservations: true");
    expect(params.get("CapacityReservationSpecification.CapacityReservationPreference")).toBe("open");
  });
});
