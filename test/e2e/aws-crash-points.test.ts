import { afterAll, beforeAll, expect, it } from "vitest";
import { countMarks, CRASH_NODES, CrashPoints, crashScenarios } from "./support/crash-points.ts";
import { announceSeed } from "./support/random.ts";
import { describeWithFleet } from "../fleet/requirements.ts";
import { AwsUser } from "../support/aws/aws-user.ts";
import { MotoFleet } from "../support/aws/moto-fleet.ts";

/** EC2 shows a new instance late; a server that dies in between must not take it for missing. */
const INVISIBLE_MS = 1500;

describeWithFleet("kill -9 at failpoints of operations on AWS", () => {
  const seed = announceSeed("SKY_CRASH_SEED");
  let aws: MotoFleet;
  let user: AwsUser;
  let crashes: CrashPoints;

  const scenarios = crashScenarios(["launch", "stop", "start", "autostop", "down"], {
    place: ["--infra", "aws/us-east-1", "--cpus", "2"],
    job: (mark) => `echo ${mark} >> ~/ledger; echo ran ${mark}`,
  });

  const alive = (): string[] =>
    [...aws.proxy.world.ledger.values()].flatMap(({ id, state }) =>
      state === "terminated" ? [] : [`${id}: ${state}`],
    );

  async function countStarts(mark: string): Promise<number> {
    await aws.settle();
    const path = "/home/ubuntu/ledger";
    const kept = aws.fleet.hosts.filter((host) => host.isOn && host.exists(path));
    return countMarks(
      kept.map((host) => host.readFile(path)),
      mark,
    );
  }

  beforeAll(async () => {
    aws = await MotoFleet.create();
    aws.proxy.world.rules.invisibleMs = INVISIBLE_MS;
    user = await AwsUser.create(aws);
    const world = {
      sandbox: user.sandbox,
      starts: countStarts,
      leftovers: alive,
      // One cluster is exactly its nodes: a node too many is a part of another.
      clusters: () => alive().length / CRASH_NODES,
    };
    crashes = new CrashPoints(world, { seed, sample: 2 });
    await user.sky("check", "aws");
  }, 180_000);
  afterAll(async () => {
    await user?.dispose();
    await aws?.dispose();
  });

  it.each(scenarios)("$operation", { timeout: 3_600_000 }, (scenario) => crashes.run(scenario));

  it("nothing is left of it all", async () => {
    await crashes.finish();
    expect(aws.errors).toEqual([]);
  });
});
