import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { waitFor } from "./support/wait-for.ts";
import { describeWithFleet } from "../fleet/requirements.ts";
import { AwsUser } from "../support/aws/aws-user.ts";
import { MotoFleet } from "../support/aws/moto-fleet.ts";

describeWithFleet("an idle cluster on AWS", () => {
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

  const states = (cluster: string): string[] =>
    [...aws.proxy.world.ledger.values()].filter((each) => each.cluster.startsWith(cluster)).map((each) => each.state);

  it("powers its machines off, which stops or ends them, and the server follows", async () => {
    await Promise.all([
      user.sky("launch", "-y", "-d", "-c", "rest", "--infra", "aws/us-east-1", "--cpus", "2", "-i", "1", "echo hi"),
      user.sky(
        "launch",
        "-y",
        "-d",
        "-c",
        "gone",
        "--infra",
        "aws/us-east-1",
        "--cpus",
        "2",
        "-i",
        "1",
        "--down",
        "echo hi",
      ),
      user.sky("launch", "-y", "-d", "-c", "late", "--infra", "aws/us-east-1", "--cpus", "2", "echo hi"),
    ]);
    // This one was launched to stop when it powers off.
    await user.sky("autostop", "-y", "late", "-i", "1", "--down");
    await waitFor("the machines to be off", () => states("rest")[0] === "stopped", { timeoutMs: 150_000 });
    await waitFor("the machine to be gone", () => states("gone")[0] === "terminated", { timeoutMs: 60_000 });
    await waitFor("the server to end what could only stop", () => states("late")[0] === "terminated", {
      timeoutMs: 150_000,
    });
    const isKnown = (status: string): boolean => /^rest .* STOPPED /mu.test(status) && !/(?:gone|late) /u.test(status);
    await waitFor("the server to know", async () => isKnown(await user.sky("status", "-r")), { timeoutMs: 120_000 });
    await user.sky("start", "-y", "rest");
    expect(await user.sky("exec", "rest", "echo back")).toContain("back");
    await user.sky("down", "-y", "rest");
  }, 700_000);

  it("that runs on spot instances can only be taken down", async () => {
    const task = ["--infra", "aws/us-east-1", "--cpus", "2", "--use-spot", "-c", "spot", "-y"];
    expect(await user.fails("launch", ...task, "-i", "1", "echo hi")).toContain(
      "Stopping spot instances is currently not supported on AWS.",
    );
    await user.sky("launch", ...task, "-d", "echo hi");
    expect(await user.fails("stop", "-y", "spot")).toContain(
      "Stopping spot instances is currently not supported on AWS.",
    );
    const [instance] = [...aws.proxy.world.ledger.values()].filter((each) => each.cluster.startsWith("spot"));
    await aws.reclaim(instance?.id ?? "");
    const status = await user.sky("status", "-r");
    expect(status).not.toContain("spot-");
    expect(states("spot")).toEqual(["terminated"]);
  }, 200_000);
});
