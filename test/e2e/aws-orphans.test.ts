import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { AwsUser } from "../support/aws/aws-user.ts";
import { MotoFleet } from "../support/aws/moto-fleet.ts";
import { createSsmFleet, PRIVATE_VPC, type SsmFleet } from "../support/aws/ssm-fleet.ts";

const loseDatabase = async ({ sandbox }: AwsUser): Promise<void> => {
  await sandbox.killServer();
  for (const end of ["", "-wal", "-shm"]) rmSync(join(sandbox.home, ".sky/ts", `state.sqlite${end}`), { force: true });
};

describeWithFleet("a server that lost its database", () => {
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

  it("finds its clusters on AWS again, and removes what nobody wants", async () => {
    const launch = ["launch", "-y", "-d", "--infra", "aws/us-east-1", "--cpus", "2"];
    await user.sky(...launch, "-c", "Kept.one", "--num-nodes", "2", "echo hi");
    await user.sky(...launch, "-c", "lost", "--ports", "8080", "echo hi");
    await aws.moto.connectDefaultVpc("us-west-2");
    await user.sky("launch", "-y", "-d", "--infra", "aws/us-west-2", "--cpus", "2", "-c", "far", "echo hi");
    expect(await user.sky("orphans")).toContain("No orphans.");

    await loseDatabase(user);
    await user.sky("check", "aws");
    expect(await user.sky("status")).toContain("No existing clusters.");
    // A region that is closed to the account hides no other, and is named.
    const message = "User: arn:aws:iam::123456789012:user/ann is not authorized to perform: ec2:DescribeInstances";
    aws.proxy.faultOf = ({ action, region }) =>
      region === "eu-north-1" && action === "ec2:DescribeInstances"
        ? { kind: "refuse", status: 403, code: "UnauthorizedOperation", message }
        : undefined;
    const listed = await user.sky("orphans");
    expect(listed).toContain("Not looked at: eu-north-1 (ec2:DescribeInstances is not allowed there).");
    expect(listed).toMatch(/^far-[0-9a-f]{8} +AWS \(us-west-2\w\) +1 +m6i\.large +running /mu);
    expect(listed).toMatch(/^kept-one-[0-9a-f]{8} +AWS \(us-east-1\w\) +2 +m6i\.large +running /mu);
    expect(listed).toMatch(/^lost-[0-9a-f]{8} +AWS \(us-east-1\w\) +1 +m6i\.large +running /mu);

    expect(await user.sky("orphans", "Kept.one", "--adopt", "-y")).toMatch(/kept-one-[0-9a-f]{8}: adopted/u);
    expect(await user.sky("status", "-r")).toMatch(/^Kept\.one +AWS .* UP /mu);
    expect(await user.sky("exec", "Kept.one", "--num-nodes", "2", "echo back on $SKYPILOT_NODE_RANK")).toContain(
      "back on 1",
    );

    expect(await user.fails("orphans", "nobody", "--down", "-y")).toContain("There is no orphan 'nobody'.");
    const removed = await user.sky("orphans", "--down", "-y");
    expect(removed).toMatch(/lost-[0-9a-f]{8}: removed/u);
    expect(removed).toMatch(/far-[0-9a-f]{8}: removed/u);
    expect(await user.sky("orphans")).toContain("No orphans.");
    await user.sky("down", "-y", "Kept.one");
    expect([...aws.proxy.world.ledger.values()].map((each) => each.state)).toEqual(Array(4).fill("terminated"));
  }, 400_000);
});

describeWithFleet("a server that lost its database, of nodes that only Session Manager reaches", () => {
  let ssm: SsmFleet;
  let user: AwsUser;

  beforeAll(async () => {
    ssm = await createSsmFleet();
    const network = `aws:\n  vpc_names: [missing, ${PRIVATE_VPC}]\n  use_internal_ips: true\n`;
    user = await AwsUser.create(ssm.aws, network, ssm.variables);
  }, 120_000);
  afterAll(async () => {
    await user?.dispose();
    await ssm?.dispose();
  });
  afterEach(() => {
    expect(ssm.aws.errors).toEqual([]);
    expect(ssm.sessions.complaints).toEqual([]);
  });

  it("finds them by their tags, and the way to them too", async () => {
    const place = ["--infra", "aws/us-east-1", "--cpus", "2", "--num-nodes", "2"];
    await user.sky("launch", "-y", "-d", "-c", "mine", ...place, "echo $SKYPILOT_NODE_RANK >~/kept");
    await loseDatabase(user);
    // The settings of new nodes are others by now; the tags say how these are reached.
    user.sandbox.write("../home/.sky/config.yaml", "aws:\n  ssh_allowed_cidrs: [198.51.100.1/32]\n");
    await user.sky("check", "aws");
    expect(await user.sky("orphans", "mine", "--adopt", "-y")).toMatch(/mine-[0-9a-f]{8}: adopted/u);
    expect(await user.sky("status", "-r")).toMatch(/^mine +AWS .* UP /mu);
    expect(await user.sky("exec", "mine", "--num-nodes", "2", "echo back $(cat ~/kept)")).toContain("back 1");
    await user.sky("stop", "-y", "mine");
    await user.sky("start", "-y", "mine");
    expect(await user.sky("exec", "mine", "--num-nodes", "2", "echo again $(cat ~/kept)")).toContain("again 1");
    await user.sky("down", "-y", "mine");
    expect([...ssm.aws.proxy.world.ledger.values()].map((each) => each.state)).toEqual(["terminated", "terminated"]);
    expect(await user.sky("orphans")).toContain("No orphans.");
  }, 400_000);
});
