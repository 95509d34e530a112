import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { AwsNodes } from "../../src/clouds/aws/nodes/nodes.ts";
import type { Offer } from "../../src/core/ports/cloud.ts";
import type { Reservation } from "../support/aws/ec2-world.ts";
import type { FaultProxy } from "../support/aws/fault-proxy.ts";
import { findMoto, Moto } from "../support/aws/moto.ts";
import { writeProfile } from "../support/aws/profile.ts";
import { freshProxy, clusterSpec, contextWith, openNodes } from "../support/aws/node-rig.ts";
import { installZoneNames } from "../support/catalogs.ts";
import { Sandbox } from "./support/sandbox.ts";

const RESERVATIONS: readonly Reservation[] = [
  { id: "cr-open", type: "m6i.large", zone: "us-east-1b", free: 2, isOpen: true },
  { id: "cr-mine", type: "m6i.large", zone: "us-east-1c", free: 3 },
  { id: "cr-other", type: "m6i.large", zone: "us-east-1d", free: 9 },
  { id: "cr-p5", type: "p5.48xlarge", zone: "us-east-1a", free: 9, isOpen: true },
];
const TARGET = "CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationId";

const { zone: _, ...base } = clusterSpec("mine", 1).offer;
const everyZone: Offer = { ...base, zone: null, zones: ["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d"] };

let moto: Moto;
let proxy: FaultProxy;
let nodes: AwsNodes;

async function marked(aws: object, offer = everyZone): Promise<unknown> {
  const offers = await nodes.withPrepaid([offer], contextWith(aws).context);
  return offers.map((one) => [one.zone ?? one.zones?.join(), one.prepaidNodes ?? 0]);
}

describe.skipIf(findMoto() === undefined)("capacity that an account has paid for", () => {
  beforeAll(async () => {
    moto = await Moto.start({ withNodeImages: true });
  }, 60_000);
  afterAll(() => moto.stop());
  beforeEach(async () => {
    proxy = await freshProxy(moto);
    proxy.world.rules.reservations = RESERVATIONS;
    nodes = openNodes(proxy.url);
  });
  afterEach(() => proxy.close());

  it("is looked for where the settings ask for it: what is open to all, and what they name", async () => {
    expect(await marked({ prioritize_reservations: true })).toEqual([
      ["us-east-1b", 2],
      ["us-east-1a,us-east-1c,us-east-1d", 0],
    ]);
    expect(await marked({ specific_reservations: ["cr-mine", "cr-p5"] })).toEqual([
      ["us-east-1c", 3],
      ["us-east-1b", 2],
      ["us-east-1a,us-east-1d", 0],
    ]);
    expect(await marked({ specific_reservations: ["cr-mine"] }, { ...base, zone: "us-east-1c" })).toEqual([
      ["us-east-1c", 3],
    ]);
    expect(await marked({ prioritize_reservations: true }, { ...base, zone: "us-east-1b", useSpot: true })).toEqual([
      ["us-east-1b", 0],
    ]);
    expect(proxy.counts()["ec2:DescribeCapacityReservations"]).toBe(1);
  });

  it("is not counted, and said so, where it may not be looked for", async () => {
    const message = "User: arn:aws:iam::123456789012:user/ann is not authorized to perform this.";
    proxy.faultOf = ({ action }) =>
      action === "ec2:DescribeCapacityReservations"
        ? { kind: "refuse", status: 403, code: "UnauthorizedOperation", message }
        : undefined;
    const { context, lines } = contextWith({ prioritize_reservations: true });
    expect(await nodes.withPrepaid([everyZone], context)).toEqual([everyZone]);
    expect(lines).toEqual([
      "Capacity reservations are not considered in us-east-1 (ec2:DescribeCapacityReservations is not allowed).",
    ]);
  });

  it("is named at the launch, a capacity block with its market", async () => {
    proxy.world.rules.reservations = [{ id: "cb-1", type: "m6i.large", zone: "us-east-1a", free: 2, isBlock: true }];
    const { context } = contextWith({ specific_reservations: ["cb-1"] });
    await nodes.run(clusterSpec("mine", 3), "token", context);
    const runs = proxy.calls.filter((call) => call.action === "ec2:RunInstances");
    expect(
      runs.map(({ params }) => [
        params.get("MinCount"),
        params.get(TARGET),
        params.get("InstanceMarketOptions.MarketType"),
      ]),
    ).toEqual([
      ["2", "cb-1", "capacity-block"],
      ["1", null, null],
    ]);
  });

  it("is not taken for spot instances", async () => {
    proxy.world.rules.reservations = [{ id: "cr-1", type: "m6i.large", zone: "us-east-1a", free: 2 }];
    const { context } = contextWith({ specific_reservations: ["cr-1"] });
    await nodes.run(clusterSpec("mine", 1, { offer: { useSpot: true } }), "token", context);
    const [run] = proxy.calls.filter((call) => call.action === "ec2:RunInstances");
    expect([run?.params.get(TARGET), run?.params.get("InstanceMarketOptions.MarketType")]).toEqual([null, "spot"]);
  });

  describe("as a user sees it", () => {
    let sandbox: Sandbox;

    beforeEach(async () => {
      sandbox = await Sandbox.create();
      installZoneNames(sandbox.home);
      writeProfile(sandbox.home, proxy.url);
      mkdirSync(join(sandbox.home, ".sky"), { recursive: true });
      writeFileSync(join(sandbox.home, ".sky/config.yaml"), "aws:\n  specific_reservations: [cr-1]\n");
      await sandbox.startServer();
      await sandbox.sky(["check", "aws"]);
    });
    afterEach(() => sandbox.dispose());

    it("nodes in it cost nothing while they last, so the task goes where they are", async () => {
      proxy.world.rules.reservations = [{ id: "cr-1", type: "m6i.xlarge", zone: "eu-west-1b", free: 2 }];
      const plan = (nodeCount: number): readonly string[] => [
        "launch",
        "--dryrun",
        "--explain",
        "--cpus",
        "4",
        "--num-nodes",
        String(nodeCount),
        "echo",
      ];
      const two = await sandbox.sky(plan(2));
      expect(two.stdout).toMatch(/^ AWS \(eu-west-1b\) +m6i\.xlarge +4 +16 +- +0\.00 +✔/mu);
      expect(two.stdout).toMatch(/^1 +AWS \(eu-west-1b\) .*chosen/mu);
      const three = await sandbox.sky(plan(3));
      expect(three.stdout).toMatch(/^ AWS \(eu-west-1b\) +m6i\.xlarge +4 +16 +- +0\.21 +✔/mu);
    });
  });
});
