/** Whole lives of clusters with what `sky aws policy` prints for them, and not an action more. */
import { DescribeImagesCommand, DescribeSecurityGroupsCommand } from "@aws-sdk/client-ec2";
import { afterEach, beforeEach, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { AwsUser, GANG_TASK } from "../support/aws/aws-user.ts";
import { enforcePolicy, type Enforcement } from "../support/aws/enforcement.ts";
import { MotoFleet } from "../support/aws/moto-fleet.ts";
import { plainText } from "./support/plain-text.ts";
import { describeWithReference } from "./support/reference.ts";
import { OfficialClient } from "./support/sandbox.ts";
import { waitFor } from "./support/wait-for.ts";

/** For the server's own address there is no service in the fleet. Post-provision commands leave a trace on each node. */
const CONFIG = `aws:
  ssh_allowed_cidrs: [198.51.100.1/32]
  post_provision_runcmd:
    - echo "provisioned" >/home/ubuntu/by-runcmd
    - [touch, /home/ubuntu/by runcmd]
`;

type Sky = (...args: readonly string[]) => Promise<string>;

describeWithFleet("on AWS, under the printed policy", () => {
  let aws: MotoFleet;
  let user: AwsUser;
  let enforced: Enforcement;

  beforeEach(async () => {
    aws = await MotoFleet.create();
    user = await AwsUser.create(aws, CONFIG);
    user.sandbox.write("task.yaml", GANG_TASK);
  }, 120_000);
  afterEach(async () => {
    await user?.dispose();
    await aws?.dispose();
    expect(aws.errors).toEqual([]);
    // Buckets and what explains refusals are other features; `sky check` asks for the former all the same.
    expect(enforced.refused.filter((action) => !action.startsWith("s3:"))).toEqual([]);
  });

  async function grant(...features: readonly string[]): Promise<void> {
    const wish = features.length === 0 ? [] : ["--features", features.join(",")];
    const { stdout } = await user.sandbox.sky(["aws", "policy", ...wish]);
    enforced = enforcePolicy(aws.proxy, stdout);
    await user.sky("check", "aws");
  }

  const states = (): string[] => [...aws.proxy.world.ledger.values()].map((each) => each.state);

  async function wholeLife(sky: Sky): Promise<void> {
    expect(await sky("launch", "-y", "-c", "mine", "task.yaml")).toMatch(/rank [01] of 2[\s\S]*rank [01] of 2/u);
    for (const host of aws.fleet.hosts) {
      expect(host.readFile("/home/ubuntu/by-runcmd")).toBe("provisioned\n");
      expect(host.exists("/home/ubuntu/by runcmd")).toBe(true);
    }
    expect(await sky("exec", "mine", "echo again")).toContain("again");
    expect(await sky("logs", "mine", "1", "--no-follow")).toContain("rank 1 of 2");
    await sky("stop", "-y", "mine");
    expect(states()).toEqual(["stopped", "stopped"]);
    await sky("start", "-y", "mine");
    await sky("autostop", "-y", "mine", "-i", "1");
    await waitFor("the nodes to be off", () => states().join() === "stopped,stopped", { timeoutMs: 180_000 });
    // The official client refuses to start a cluster that is known to be stopping still.
    await waitFor("the server to know", async () => / STOPPED /u.test(await sky("status", "-r", "mine")), {
      timeoutMs: 120_000,
    });
    await sky("start", "-y", "mine");
    expect(await sky("exec", "mine", "cat ~/kept")).toContain("rank 0 of 2");
    await sky("down", "-y", "mine");
    expect(states()).toEqual(["terminated", "terminated"]);
  }

  it("the least is enough with a role that an administrator made", async () => {
    await user.sky("aws", "setup", "--yes", "--features", "s3");
    await grant();
    await wholeLife((...args) => user.sky(...args));
    expect(enforced.allowed).toContain("iam:PassRole");
    expect(enforced.allowed.filter((action) => /^iam:(?:Create|Put|Attach|Add)/u.test(action))).toEqual([]);
  }, 600_000);

  it("the blocks for a role, ports and clones are enough for these", async () => {
    await grant("role", "ports", "clone-care");
    const place = ["--infra", "aws/us-east-1", "--cpus", "2"];
    await user.sky("launch", "-y", "-c", "src", ...place, "--ports", "8080", "echo one >~/kept");
    expect(enforced.allowed).toContain("iam:CreateRole");
    expect(await user.sky("status", "--endpoints", "src")).toMatch(/8080: (?:http:\/\/)?\d+\.\d+\.\d+\.\d+:8080/u);
    const groups = await aws.moto.ec2().send(new DescribeSecurityGroupsCommand({}));
    const open = (groups.SecurityGroups ?? []).flatMap(({ IpPermissions = [] }) => IpPermissions);
    expect(open.filter(({ FromPort }) => FromPort === 8080).map(({ IpRanges }) => IpRanges?.[0]?.CidrIp)).toEqual([
      "0.0.0.0/0",
    ]);
    await user.sky("stop", "-y", "src");
    expect(await user.sky("launch", "-y", "-c", "new", ...place, "--clone-disk-from", "src", "cat ~/kept")).toContain(
      "one",
    );
    const images = await aws.moto.ec2().send(new DescribeImagesCommand({ Owners: ["self"] }));
    expect(images.Images).toEqual([]);
    await user.sky("down", "-y", "src", "new");
    const left = await aws.moto.ec2().send(new DescribeSecurityGroupsCommand({}));
    expect(
      (left.SecurityGroups ?? []).flatMap(({ IpPermissions = [] }) => IpPermissions.map((one) => one.FromPort)),
    ).not.toContain(8080);
    expect(new Set(states())).toEqual(new Set(["terminated"]));
  }, 400_000);

  it("the blocks for spot and for fast networks are enough for these", async () => {
    await user.sky("aws", "setup", "--yes", "--features", "s3");
    await grant("spot", "efa");
    const fast = ["-t", "g4dn.8xlarge", "--network-tier", "best", "--num-nodes", "2", "--use-spot"];
    const said = await user.sky(
      "launch",
      "-y",
      "-c",
      "fast",
      "--infra",
      "aws/us-east-1",
      ...fast,
      "echo I am $SKYPILOT_NODE_RANK",
    );
    expect(said).toContain("I am 1");
    expect(enforced.allowed).toContain("ec2:CreatePlacementGroup");
    await user.sky("down", "-y", "fast");
    expect(states()).toEqual(["terminated", "terminated"]);
    expect(aws.proxy.world.placement.names()).toEqual([]);
  }, 300_000);

  describeWithReference("by the official client", (reference) => {
    it("the least is enough with a role that an administrator made", async () => {
      await user.sky("aws", "setup", "--yes", "--features", "s3");
      await grant();
      const client = new OfficialClient(user.sandbox, reference, { remote: true });
      await wholeLife(async (...args) => {
        const result = await client.sky(args, { timeoutMs: 240_000 });
        const text = plainText(`${result.stdout}${result.stderr}`);
        if (process.env["SHOW"] !== undefined) process.stdout.write(`$ ${args.join(" ")}\n${text}\n`);
        expect(result.exitCode, `sky ${args.join(" ")}\n${text}`).toBe(0);
        return text;
      });
    }, 900_000);
  });
});
