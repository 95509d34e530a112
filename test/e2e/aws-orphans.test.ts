import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { AwsUser } from "../support/aws/aws-user.ts";
import { MotoFleet } from "../support/aws/moto-fleet.ts";

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
    expect(await user.sky("orphans")).toContain("No orphans.");

    await user.sandbox.killServer();
    const state = join(user.sandbox.home, ".sky/ts");
    for (const end of ["", "-wal", "-shm"]) rmSync(join(state, `state.sqlite${end}`), { force: true });
    await user.sky("check", "aws");
    expect(await user.sky("status")).toContain("No existing clusters.");
    const listed = await user.sky("orphans");
    expect(listed).toMatch(/^kept-one-[0-9a-f]{8} +AWS \(us-east-1\w\) +2 +m6i\.large +running /mu);
    expect(listed).toMatch(/^lost-[0-9a-f]{8} +AWS \(us-east-1\w\) +1 +m6i\.large +running /mu);

    expect(await user.sky("orphans", "Kept.one", "--adopt", "-y")).toMatch(/kept-one-[0-9a-f]{8}: adopted/u);
    expect(await user.sky("status", "-r")).toMatch(/^Kept\.one +AWS .* UP /mu);
    expect(await user.sky("exec", "Kept.one", "--num-nodes", "2", "echo back on $SKYPILOT_NODE_RANK")).toContain(
      "back on 1",
    );

    expect(await user.fails("orphans", "nobody", "--down", "-y")).toContain("There is no orphan 'nobody'.");
    expect(await user.sky("orphans", "--down", "-y")).toMatch(/lost-[0-9a-f]{8}: removed/u);
    expect(await user.sky("orphans")).toContain("No orphans.");
    await user.sky("down", "-y", "Kept.one");
    expect([...aws.proxy.world.ledger.values()].map((each) => each.state)).toEqual(Array(3).fill("terminated"));
  }, 400_000);
});
