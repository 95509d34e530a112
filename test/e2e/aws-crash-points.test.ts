import { afterAll, beforeAll, expect, it } from "vitest";
import { CrashPoints, type CrashScenario } from "./support/crash-points.ts";
import { announceSeed } from "./support/random.ts";
import { describeWithFleet } from "../fleet/requirements.ts";
import { AwsUser } from "../support/aws/aws-user.ts";
import { MotoFleet } from "../support/aws/moto-fleet.ts";

const NODES = 2;
const LAUNCH = ["launch", "-y", "-c", "c", "--infra", "aws/us-east-1", "--cpus", "2", "--num-nodes", String(NODES)];
/** EC2 shows a new instance late; a server that dies in between must not take it for missing. */
const INVISIBLE_MS = 1500;

describeWithFleet("kill -9 at failpoints of operations on AWS", () => {
  const seed = announceSeed("SKY_CRASH_SEED");
  let aws: MotoFleet;
  let user: AwsUser;
  let crashes: CrashPoints;

  const job = (mark: string): string => `echo ${mark} >> ~/ledger; echo ran ${mark}`;
  const scenarios: readonly CrashScenario[] = [
    {
      operation: "launch",
      before: [],
      command: (mark) => [...LAUNCH, job(mark)],
      after: { status: "UP", nodes: NODES },
      ranks: NODES,
    },
    {
      operation: "stop",
      before: [LAUNCH],
      command: () => ["stop", "-y", "c"],
      after: { status: "STOPPED", nodes: NODES },
      ranks: 0,
    },
    {
      operation: "start",
      before: [LAUNCH, ["stop", "-y", "c"]],
      command: () => ["start", "-y", "c"],
      after: { status: "UP", nodes: NODES },
      ranks: 0,
    },
    {
      operation: "autostop",
      before: [LAUNCH],
      command: () => ["autostop", "-y", "-i", "50", "c"],
      after: { status: "UP", autostop: 50 },
      ranks: 0,
    },
    { operation: "down", before: [LAUNCH], command: () => ["down", "-y", "c"], after: undefined, ranks: 0 },
  ];

  const alive = (): string[] =>
    [...aws.proxy.world.ledger.values()].flatMap(({ id, state }) =>
      state === "terminated" ? [] : [`${id}: ${state}`],
    );

  async function countStarts(mark: string): Promise<number> {
    await aws.settle();
    const lines = aws.fleet.hosts.flatMap((host) =>
      host.isOn && host.exists("/home/ubuntu/ledger") ? host.readFile("/home/ubuntu/ledger").split("\n") : [],
    );
    return lines.filter((line) => line === mark).length;
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
      clusters: () => alive().length / NODES,
    };
    crashes = new CrashPoints(world, { seed, sample: 2 });
    await user.sky("check", "aws");
  }, 180_000);
  afterAll(async () => {
    await user.dispose();
    await aws.dispose();
  });

  it.each(scenarios)("$operation", { timeout: 3_600_000 }, (scenario) => crashes.run(scenario));

  it("nothing is left of it all", async () => {
    await crashes.finish();
    expect(aws.errors).toEqual([]);
  });
});
