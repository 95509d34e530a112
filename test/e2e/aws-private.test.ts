import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CreateSubnetCommand, CreateVpcCommand, DescribeInstancesCommand, type Instance } from "@aws-sdk/client-ec2";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { AwsUser } from "../support/aws/aws-user.ts";
import { MotoFleet } from "../support/aws/moto-fleet.ts";

/** Leads to the host, and leaves a trace. */
const PROXY = 'sh -c "echo %h >>~/way-in; exec bash -c \\"exec 3<>/dev/tcp/%h/%p; cat <&3 & exec cat >&3\\""';

const CONFIG = `aws:
  vpc_names: [missing, research]
  use_internal_ips: true
  ssh_allowed_cidrs: [198.51.100.1/32]
  ssh_proxy_command:
    us-east-1: '${PROXY}'
    eu-west-1: 'false'
`;

describeWithFleet("a network of one's own on AWS", () => {
  let aws: MotoFleet;
  let user: AwsUser;
  let subnetId: string;

  beforeAll(async () => {
    aws = await MotoFleet.create();
    const ec2 = aws.moto.ec2();
    const named = { ResourceType: "vpc" as const, Tags: [{ Key: "Name", Value: "research" }] };
    const vpc = await ec2.send(new CreateVpcCommand({ CidrBlock: "10.77.0.0/16", TagSpecifications: [named] }));
    const place = { VpcId: vpc.Vpc?.VpcId ?? "", CidrBlock: "10.77.1.0/24", AvailabilityZone: "us-east-1a" };
    subnetId = (await ec2.send(new CreateSubnetCommand(place))).Subnet?.SubnetId ?? "";
    user = await AwsUser.create(aws, CONFIG);
    await user.sky("check", "aws");
  }, 120_000);
  afterAll(async () => {
    await user.dispose();
    await aws.dispose();
  });
  afterEach(() => expect(aws.errors).toEqual([]));

  const wayIn = (): string => {
    const path = join(user.sandbox.home, "way-in");
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  };

  async function instanceOf(cluster: string): Promise<Instance | undefined> {
    const filter = [{ Name: "tag:ray-cluster-name", Values: [`${cluster}-*`] }];
    const { Reservations } = await aws.moto.ec2().send(new DescribeInstancesCommand({ Filters: filter }));
    return Reservations?.[0]?.Instances?.[0];
  }

  it("the second of several VPCs, private addresses, and a proxy of the region", async () => {
    const out = await user.sky(
      "launch",
      "-y",
      "-c",
      "inside",
      "--cpus",
      "2",
      "--infra",
      "aws",
      "echo I am $(hostname)",
    );
    const instance = await instanceOf("inside");
    expect(out).toContain(`I am ${instance?.InstanceId}`);
    expect([instance?.SubnetId, instance?.PublicIpAddress]).toEqual([subnetId, undefined]);
    expect(wayIn()).toContain(`${instance?.PrivateIpAddress}\n`);
    expect(await user.sky("exec", "inside", "echo again")).toContain("again");
    await user.sky("stop", "-y", "inside");
    await user.sky("start", "-y", "inside");
    expect(await user.sky("exec", "inside", "echo back")).toContain("back");
    await user.sky("down", "-y", "inside");
  }, 300_000);

  it("a region to which no proxy leads is not used", async () => {
    expect(await user.fails("launch", "-y", "-c", "far", "--infra", "aws/us-west-2", "echo no")).toContain(
      "aws.ssh_proxy_command leads to none of its regions (it names us-east-1, eu-west-1)",
    );
  }, 60_000);

  it("what a task says wins: one proxy for all, the default VPC, public addresses", async () => {
    const task = user.sandbox.write(
      "task.yaml",
      `resources: {infra: aws/us-east-1, cpus: 2}
config:
  aws:
    vpc_names: null
    use_internal_ips: false
    ssh_proxy_command: '${PROXY}'
run: echo out here
`,
    );
    expect(await user.sky("launch", "-y", "-c", "outside", task)).toContain("out here");
    const instance = await instanceOf("outside");
    expect(instance?.SubnetId).not.toBe(subnetId);
    expect(wayIn()).toContain(`${instance?.PublicIpAddress}\n`);
    await user.sky("down", "-y", "outside");
  }, 200_000);
});
