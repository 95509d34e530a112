import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { AwsUser } from "../support/aws/aws-user.ts";
import { waitFor } from "./support/wait-for.ts";
import { MotoFleet } from "../support/aws/moto-fleet.ts";

const LAUNCH = ["launch", "-y", "--infra", "aws/us-east-1", "-t", "g4dn.8xlarge", "--num-nodes", "2"];

describeWithFleet("network_tier: best", () => {
  let aws: MotoFleet;
  let user: AwsUser;

  beforeAll(async () => {
    aws = await MotoFleet.create();
    user = await AwsUser.create(aws);
    await user.sky("check", "aws");
  }, 120_000);
  afterAll(async () => {
    await user.dispose();
    await aws.dispose();
  });
  afterEach(() => expect(aws.errors).toEqual([]));

  const groups = (): readonly string[] => aws.proxy.world.placement.names();

  it("puts nodes close together, and leaves nothing after down", async () => {
    const out = await user.sky(...LAUNCH, "--network-tier", "best", "-c", "close", "echo here is $SKYPILOT_NODE_RANK");
    expect(out).toContain("here is 1");
    expect(groups()).toEqual([expect.stringMatching(/^us-east-1\/sky-pg-close-[0-9a-f]{8}$/u)]);
    await user.sky("down", "-y", "close");
    expect(groups()).toEqual([]);
  }, 300_000);

  it("says where there is no room close together, and leaves nothing when no zone has any", async () => {
    aws.proxy.world.placement.rules.crowded = ["*"];
    aws.proxy.world.rules.capacity = { "*": 1 };
    const out = await user.fails(...LAUNCH, "--network-tier", "best", "-c", "full", "echo no");
    aws.proxy.world.placement.rules.crowded = [];
    aws.proxy.world.rules.capacity = {};
    expect(out).toContain("The nodes are not placed close together: there is no room for that in us-east-1a.");
    expect(groups()).toEqual([]);
  }, 300_000);

  it.each<readonly [string, string, "cut" | "lose"]>([
    ["before the nodes were asked for", "ec2:RunInstances", "cut"],
    ["before it knew of the nodes", "ec2:RunInstances", "lose"],
    ["before it knew of the group", "ec2:CreatePlacementGroup", "lose"],
  ])(
    "comes to one group and its nodes when the server dies %s",
    async (_, action, kind) => {
      let killed: Promise<void> | undefined;
      aws.proxy.faultOf = (call) => {
        if (call.action !== action || killed !== undefined) return undefined;
        killed = user.sandbox.killServer();
        return { kind };
      };
      const before = new Set(aws.proxy.world.ledger.keys());
      await user.sandbox.sky([...LAUNCH, "--network-tier", "best", "-c", "died", "-d", "echo hi"]);
      expect(killed).toBeDefined();
      await killed;
      // Whoever asks first starts the server again, which goes on with the launch.
      await user.sky("check", "aws");
      await waitFor("the launch", async () => /^died .* UP /mu.test(await user.sky("status")), { timeoutMs: 60_000 });
      const made = [...aws.proxy.world.ledger.keys()].filter((id) => !before.has(id));
      expect(made.map((id) => aws.proxy.world.placement.groupOf(id))).toEqual(
        Array(2).fill(expect.stringMatching(/^sky-pg-died-[0-9a-f]{8}$/u)),
      );
      expect(groups()).toHaveLength(1);
      await user.sky("down", "-y", "died");
      expect(groups()).toEqual([]);
    },
    300_000,
  );

  it("has its groups swept by sky orphans when the database is lost", async () => {
    await user.sky(...LAUNCH, "--network-tier", "best", "-c", "lost", "echo hi");
    await user.sandbox.killServer();
    const state = join(user.sandbox.home, ".sky/ts");
    for (const end of ["", "-wal", "-shm"]) rmSync(join(state, `state.sqlite${end}`), { force: true });
    await user.sky("check", "aws");
    expect(await user.sky("orphans", "--down", "-y")).toMatch(/lost-[0-9a-f]{8}: removed/u);
    expect(groups()).toEqual([]);
    expect(await user.sky("orphans")).toContain("No orphans.");
  }, 300_000);
});
