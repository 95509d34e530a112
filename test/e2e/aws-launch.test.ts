import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { Sandbox } from "./support/sandbox.ts";
import { describeWithFleet } from "../fleet/requirements.ts";
import { MotoFleet } from "../support/aws/moto-fleet.ts";

const CONFIG = `aws:
  ssh_allowed_cidrs: [198.51.100.1/32]
`;

describeWithFleet("a cluster on AWS", () => {
  let aws: MotoFleet;
  let user: Sandbox;

  beforeAll(async () => {
    aws = await MotoFleet.create();
    user = await Sandbox.create({ root: aws.fleet.root, start: (argv, options) => aws.fleet.start(argv, options) });
    user.write("../home/.sky/config.yaml", CONFIG);
  }, 120_000);
  afterAll(async () => {
    await user.dispose();
    await aws.dispose();
  });
  afterEach(() => expect(aws.errors).toEqual([]));

  async function sky(...args: readonly string[]): Promise<string> {
    const result = await user.sky(args, { env: user.env(aws.env()), timeoutMs: 180_000 });
    const text = `$ sky ${args.join(" ")} -> ${result.exitCode} in ${Math.round(result.elapsedMs)} ms\n${result.stdout}${result.stderr}`;
    if (process.env["SHOW"] !== undefined) process.stdout.write(`${text}\n`);
    expect(result.exitCode, text).toBe(0);
    return text;
  }

  it("lives its whole life", async () => {
    user.write(
      "task.yaml",
      "resources:\n  infra: aws/us-east-1\n  cpus: 2\nnum_nodes: 2\nworkdir: .\nrun: echo node $SKYPILOT_NODE_RANK of $SKYPILOT_NUM_NODES on $(hostname)\n",
    );
    await sky("check", "aws");
    const launched = await sky("launch", "-y", "-c", "mine", "task.yaml");
    expect(launched).toContain("node 0 of 2");
    expect(launched).toContain("node 1 of 2");
    expect(await sky("exec", "mine", "echo again")).toContain("again");
    await sky("queue", "mine");
    await sky("logs", "mine", "1", "--no-follow");
    await sky("stop", "-y", "mine");
    await sky("status");
    await sky("start", "-y", "mine");
    await sky("exec", "mine", "echo back");
    await sky("down", "-y", "mine");
    await sky("status");
  }, 400_000);
});
