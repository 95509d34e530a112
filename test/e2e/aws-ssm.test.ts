import { DescribeInstancesCommand, DescribeSecurityGroupsCommand, type Instance } from "@aws-sdk/client-ec2";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { AwsUser } from "../support/aws/aws-user.ts";
import { createSsmFleet, PRIVATE_VPC, type SsmFleet } from "../support/aws/ssm-fleet.ts";

const CONFIG = `aws:\n  vpc_names: ${PRIVATE_VPC}\n  use_internal_ips: true\n  use_ssm: true\n`;

describeWithFleet("a cluster without a public address or an open port", () => {
  let ssm: SsmFleet;
  let user: AwsUser;

  beforeAll(async () => {
    ssm = await createSsmFleet();
    user = await AwsUser.create(ssm.aws, CONFIG);
  }, 120_000);
  afterAll(async () => {
    await user?.dispose();
    await ssm?.dispose();
  });
  afterEach(() => {
    ssm.sessions.calm();
    expect(ssm.aws.errors).toEqual([]);
    expect(ssm.sessions.complaints).toEqual([]);
  });

  async function instances(): Promise<readonly Instance[]> {
    const answer = await ssm.aws.moto.ec2().send(new DescribeInstancesCommand({}));
    return (answer.Reservations ?? []).flatMap((each) => each.Instances ?? []);
  }

  it("launches, runs and ends through Session Manager", async () => {
    user.sandbox.write(
      "task.yaml",
      "resources:\n  infra: aws/us-east-1\n  cpus: 2\nnum_nodes: 2\nworkdir: .\nrun: echo node $SKYPILOT_NODE_RANK of $SKYPILOT_NUM_NODES\n",
    );
    await user.sky("check", "aws");
    const launched = await user.sky("launch", "-y", "-c", "mine", "task.yaml");
    expect(launched).toContain("node 0 of 2");
    expect(launched).toContain("node 1 of 2");
    const nodes = await instances();
    expect(nodes.map((each) => each.PublicIpAddress)).toEqual([undefined, undefined]);
    const groups = (await ssm.aws.moto.ec2().send(new DescribeSecurityGroupsCommand({}))).SecurityGroups ?? [];
    const rules = groups.find((group) => group.GroupName?.startsWith("sky-sg-"))?.IpPermissions ?? [];
    expect(rules.flatMap((rule) => rule.IpRanges ?? [])).toEqual([]);
    expect(ssm.sessions.sessions.map((each) => each.document)).toContain("AWS-StartSSHSession");

    expect(await user.sky("exec", "mine", "echo again")).toContain("again");
    expect(await user.sky("logs", "mine", "1", "--no-follow")).toContain("node 1 of 2");
    await user.sky("down", "-y", "mine");
  }, 400_000);
});
