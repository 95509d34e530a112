import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { AwsUser } from "../support/aws/aws-user.ts";
import { MotoFleet } from "../support/aws/moto-fleet.ts";

describeWithFleet("a cluster on AWS", () => {
  let aws: MotoFleet;
  let user: AwsUser;

  beforeAll(async () => {
    aws = await MotoFleet.create();
    user = await AwsUser.create(aws);
  }, 120_000);
  afterAll(async () => {
    await user.dispose();
    await aws.dispose();
  });
  afterEach(() => expect(aws.errors).toEqual([]));

  it("lives its whole life", async () => {
    user.sandbox.write(
      "task.yaml",
      "resources:\n  infra: aws/us-east-1\n  cpus: 2\nnum_nodes: 2\nworkdir: .\nrun: echo node $SKYPILOT_NODE_RANK of $SKYPILOT_NUM_NODES on $(hostname)\n",
    );
    await user.sky("check", "aws");
    const launched = await user.sky("launch", "-y", "-c", "mine", "task.yaml");
    expect(launched).toContain("node 0 of 2");
    expect(launched).toContain("node 1 of 2");
    expect(await user.sky("exec", "mine", "echo again")).toContain("again");
    await user.sky("queue", "mine");
    await user.sky("logs", "mine", "1", "--no-follow");
    await user.sky("stop", "-y", "mine");
    await user.sky("status");
    await user.sky("start", "-y", "mine");
    await user.sky("exec", "mine", "echo back");
    await user.sky("down", "-y", "mine");
    await user.sky("status");
  }, 400_000);
});
