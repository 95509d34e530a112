import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { plainText } from "./support/plain-text.ts";
import { describeWithReference } from "./support/reference.ts";
import { OfficialClient } from "./support/sandbox.ts";
import { describeWithFleet } from "../fleet/requirements.ts";
import { AwsUser } from "../support/aws/aws-user.ts";
import { MotoFleet } from "../support/aws/moto-fleet.ts";

const TASK = `
name: hello
num_nodes: 2
resources:
  infra: aws/us-east-1
  cpus: 2
run: echo "rank $SKYPILOT_NODE_RANK of $SKYPILOT_NUM_NODES"
`;

describeWithReference("the official client and our server", (reference) => {
  describeWithFleet("on AWS", () => {
    let aws: MotoFleet;
    let user: AwsUser;
    let client: OfficialClient;

    beforeAll(async () => {
      aws = await MotoFleet.create();
      user = await AwsUser.create(aws);
      // With a HOME of its own: it refuses keys of the config that it does not know.
      client = new OfficialClient(user.sandbox, reference, { remote: true });
      user.sandbox.write("task.yaml", TASK);
      await user.sandbox.startServer();
      await user.sky("check", "aws");
    }, 180_000);
    afterAll(async () => {
      await user.dispose();
      await aws.dispose();
    });
    afterEach(() => expect(aws.errors).toEqual([]));

    async function sky(...args: readonly string[]): Promise<string> {
      const result = await client.sky(args, { timeoutMs: 240_000 });
      const text = plainText(`${result.stdout}${result.stderr}`);
      if (process.env["SHOW"] !== undefined) process.stdout.write(`$ ${args.join(" ")}\n${text}\n`);
      expect(result.exitCode, `sky ${args.join(" ")}\n${text}`).toBe(0);
      return text;
    }

    it("launch, run, read logs, stop, start, set autostop and take down", async () => {
      const launched = await sky("launch", "-y", "-c", "mine", "task.yaml");
      expect(launched).toContain("rank 0 of 2");
      expect(launched).toContain("rank 1 of 2");
      expect(await sky("exec", "mine", "echo again")).toContain("again");
      expect(await sky("logs", "mine", "1")).toContain("rank 1 of 2");
      await sky("stop", "-y", "mine");
      expect(await sky("status")).toMatch(/mine +AWS .* STOPPED/u);
      await sky("start", "-y", "mine");
      await sky("autostop", "-y", "mine", "-i", "50");
      expect(await sky("status")).toMatch(/mine +AWS .* UP +50m/u);
      await sky("down", "-y", "mine");
      expect([...aws.proxy.world.ledger.values()].map((each) => each.state)).toEqual(["terminated", "terminated"]);
    }, 900_000);
  });
});
