/** The whole life of clusters that only Session Manager reaches, with what docs/aws/ssm.md says is needed and not an action more. */
import { DescribeInstancesCommand, type Instance } from "@aws-sdk/client-ec2";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { AwsUser, GANG_TASK } from "../support/aws/aws-user.ts";
import { enforcePolicy, type Enforcement } from "../support/aws/enforcement.ts";
import { createSsmFleet, PRIVATE_VPC, type SsmFleet } from "../support/aws/ssm-fleet.ts";
import { plainText } from "./support/plain-text.ts";
import { describeWithReference } from "./support/reference.ts";
import { OfficialClient } from "./support/sandbox.ts";
import { waitFor } from "./support/wait-for.ts";

const CONFIG = `aws:\n  vpc_names: ${PRIVATE_VPC}\n  use_internal_ips: true\n  use_ssm: true\n`;

interface Setup {
  readonly ssm: SsmFleet;
  readonly user: AwsUser;
  readonly enforced: Enforcement;
}

/** What an administrator does, and then what the user gets. */
async function setUp(): Promise<Setup> {
  const ssm = await createSsmFleet();
  const user = await AwsUser.create(ssm.aws, CONFIG, ssm.variables);
  user.sandbox.write("task.yaml", GANG_TASK);
  await user.sky("aws", "setup", "--yes", "--features", "ports,s3,buckets,ssm");
  const { stdout } = await user.sandbox.sky(["aws", "policy", "--features", "ssm"]);
  const enforced = enforcePolicy(ssm.aws.proxy, stdout);
  await user.sky("check", "aws");
  return { ssm, user, enforced };
}

function expectClean({ ssm, enforced }: Setup): void {
  expect(ssm.aws.errors).toEqual([]);
  expect(ssm.sessions.complaints).toEqual([]);
  // Buckets are not among the features; `sky check` asks all the same.
  expect(enforced.refused.filter((action) => !action.startsWith("s3:"))).toEqual([]);
  expect(enforced.allowed).toEqual(expect.arrayContaining(["ssm:StartSession", "ec2:RunInstances", "iam:PassRole"]));
}

async function instances({ ssm }: Setup): Promise<readonly Instance[]> {
  const answer = await ssm.aws.moto.ec2().send(new DescribeInstancesCommand({}));
  return (answer.Reservations ?? []).flatMap((each) => each.Instances ?? []);
}

async function statesOf(setup: Setup): Promise<readonly (string | undefined)[]> {
  return (await instances(setup)).map((each) => each.State?.Name);
}

describeWithFleet("through Session Manager alone, under the documented policy", () => {
  let setup: Setup;

  beforeAll(async () => {
    setup = await setUp();
    await setup.ssm.aws.fleet.world.setHome(setup.user.sandbox.home);
  }, 180_000);
  afterAll(async () => {
    await setup?.user.dispose();
    await setup?.ssm.dispose();
  });

  async function ssh(name: string, command: string): Promise<string> {
    const { sandbox } = setup.user;
    const argv = ["ssh", "-o", "BatchMode=yes", name, command];
    const { exitCode, stdout, stderr } = await sandbox.start(argv, { env: sandbox.env(), timeoutMs: 60_000 }).result;
    expect(exitCode, stderr).toBe(0);
    return stdout;
  }

  it("launch, exec, logs, ssh, stop, start, autostop and down work on two nodes", async () => {
    const { user } = setup;
    expect(await user.sky("launch", "-y", "-c", "mine", "task.yaml")).toMatch(/rank [01] of 2[\s\S]*rank [01] of 2/u);
    expect(await user.sky("exec", "mine", "--num-nodes", "2", "echo at $SKYPILOT_NODE_RANK")).toContain("at 1");
    expect(await user.sky("logs", "mine", "1", "--no-follow")).toContain("rank 1 of 2");
    expect(await user.sky("queue", "mine")).toMatch(/^1 .* SUCCEEDED /mu);
    expect(await ssh("mine", "cat kept")).toBe("rank 0 of 2\n");
    expect(await ssh("mine-worker1", "cat kept")).toBe("rank 1 of 2\n");

    await user.sky("stop", "-y", "mine");
    expect(await statesOf(setup)).toEqual(["stopped", "stopped"]);
    await user.sky("start", "-y", "mine");
    expect(await ssh("mine-worker1", "cat kept")).toBe("rank 1 of 2\n");
    expect(await user.sky("exec", "mine", "--num-nodes", "2", "cat ~/kept")).toContain("rank 1 of 2");

    await user.sky("autostop", "-y", "mine", "-i", "1");
    const areOff = async (): Promise<boolean> => (await statesOf(setup)).every((one) => one === "stopped");
    await waitFor("the nodes to power themselves off", areOff, { timeoutMs: 180_000 });
    // The server may still be asking agents that are off by now.
    const isSeen = async (): Promise<boolean> => /^mine +AWS .* STOPPED /mu.test(await user.sky("status", "-r"));
    await waitFor("the cluster to be STOPPED", isSeen, { timeoutMs: 120_000 });
    await user.sky("start", "-y", "mine");
    expect(await user.sky("exec", "mine", "cat ~/kept")).toContain("rank 0 of 2");
    expect((await instances(setup)).map((each) => each.PublicIpAddress)).toEqual([undefined, undefined]);
    await user.sky("down", "-y", "mine");
    expect(await statesOf(setup)).toEqual(["terminated", "terminated"]);
    expectClean(setup);
  }, 600_000);
});

describeWithReference("the official client and our server, through Session Manager alone", (reference) => {
  describeWithFleet("under the documented policy", () => {
    let setup: Setup;

    beforeAll(async () => {
      setup = await setUp();
    }, 180_000);
    afterAll(async () => {
      await setup?.user.dispose();
      await setup?.ssm.dispose();
    });

    it("launch, exec, logs, stop, start, autostop and down work on two nodes", async () => {
      const client = new OfficialClient(setup.user.sandbox, reference, { remote: true });
      const sky = async (...args: readonly string[]): Promise<string> => {
        const result = await client.sky(args, { timeoutMs: 240_000 });
        const text = plainText(`${result.stdout}${result.stderr}`);
        if (process.env["SHOW"] !== undefined) process.stdout.write(`$ ${args.join(" ")}\n${text}\n`);
        expect(result.exitCode, `sky ${args.join(" ")}\n${text}`).toBe(0);
        return text;
      };
      expect(await sky("launch", "-y", "-c", "theirs", "task.yaml")).toMatch(/rank [01] of 2[\s\S]*rank [01] of 2/u);
      expect(await sky("exec", "theirs", "echo again")).toContain("again");
      expect(await sky("logs", "theirs", "1", "--no-follow")).toContain("rank 1 of 2");
      await sky("stop", "-y", "theirs");
      expect(await sky("status")).toMatch(/theirs +AWS .* STOPPED/u);
      await sky("start", "-y", "theirs");
      await sky("autostop", "-y", "theirs", "-i", "1");
      const areOff = async (): Promise<boolean> => (await statesOf(setup)).every((one) => one === "stopped");
      await waitFor("the nodes to power themselves off", areOff, { timeoutMs: 180_000 });
      // The official client asks for what the server knows, and starts nothing that is UP there.
      const isSeen = async (): Promise<boolean> => /theirs +AWS .* STOPPED/u.test(await sky("status", "-r"));
      await waitFor("the cluster to be STOPPED", isSeen, { timeoutMs: 120_000 });
      await sky("start", "-y", "theirs");
      expect(await sky("exec", "theirs", "cat ~/kept")).toContain("rank 0 of 2");
      await sky("down", "-y", "theirs");
      expect(await statesOf(setup)).toEqual(["terminated", "terminated"]);
      expectClean(setup);
    }, 900_000);
  });
});
