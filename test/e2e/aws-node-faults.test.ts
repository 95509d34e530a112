import {
  CreateSecurityGroupCommand,
  CreateVpcCommand,
  DescribeSecurityGroupsCommand,
  type SecurityGroup,
} from "@aws-sdk/client-ec2";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { AwsNodes } from "../../src/clouds/aws/nodes/nodes.ts";
import { CloudAccessError, NoCapacityError, QuotaExceededError } from "../../src/shared/errors.ts";
import type { FaultProxy } from "../support/aws/fault-proxy.ts";
import { THROTTLED, type Fault, type SeenCall } from "../support/aws/fault-proxy.ts";
import { Moto, findMoto } from "../support/aws/moto.ts";
import { freshProxy, clusterSpec, contextWith, openNodes, refOf } from "../support/aws/node-rig.ts";

let moto: Moto;
let proxy: FaultProxy;
let nodes: AwsNodes;

/** The first `count` calls of an action go wrong. */
function first(action: string, count: number, fault: Fault): (call: SeenCall) => Fault | undefined {
  let left = count;
  return (call) => (call.action === action && left-- > 0 ? fault : undefined);
}

function alive(): number {
  return [...proxy.world.ledger.values()].filter((each) => each.state !== "terminated").length;
}

describe.skipIf(findMoto() === undefined)("nodes on EC2 on a bad day", () => {
  beforeAll(async () => {
    moto = await Moto.start({ withNodeImages: true });
  }, 60_000);
  afterAll(() => moto.stop());
  beforeEach(async () => {
    proxy = await freshProxy(moto);
    nodes = openNodes(proxy.url);
  });
  afterEach(() => proxy.close());

  it.each([
    ["the answer is lost", { kind: "lose" }],
    ["the answer is an error after the effect", { kind: "fail" }],
    ["the connection breaks before", { kind: "cut" }],
    ["AWS throttles", THROTTLED],
  ] as const)("creates the nodes once when %s", async (_what, fault) => {
    proxy.faultOf = first("ec2:RunInstances", 2, fault);
    const { context } = contextWith();
    await nodes.run(clusterSpec("mine", 2), "token", context);
    expect(proxy.counts()["ec2:RunInstances"]).toBe(3);
    expect(alive()).toBe(2);
  });

  it("creates nothing more when the same launch is sent again, while lists do not show it yet", async () => {
    proxy.world.rules.invisibleMs = 60_000;
    const { context } = contextWith();
    const spec = clusterSpec("mine", 2);
    await nodes.run(spec, "token", context);
    expect(await nodes.query(refOf(spec), context)).toEqual([]);
    await nodes.run(spec, "token", context);
    expect(alive()).toBe(2);
  });

  it("sends a full zone's launch once, and says what AWS said", async () => {
    proxy.world.rules.capacity = { "us-east-1a": 1 };
    const { context } = contextWith();
    const error = await nodes.run(clusterSpec("mine", 2), "token", context).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(NoCapacityError);
    expect(error).toMatchObject({ isClean: true });
    expect(String(error)).toContain("InsufficientInstanceCapacity");
    expect(proxy.counts()["ec2:RunInstances"]).toBe(1);
    expect(alive()).toBe(0);
  });

  it.each([
    ["VcpuLimitExceeded", QuotaExceededError],
    ["AuthFailure", CloudAccessError],
    ["Blocked", CloudAccessError],
  ])("sorts %s", async (code, kind) => {
    proxy.world.rules.refusals = { "*": { code, message: "No.", status: 400 } };
    const { context } = contextWith();
    await expect(nodes.run(clusterSpec("mine", 1), "token", context)).rejects.toBeInstanceOf(kind);
    expect(proxy.counts()["ec2:RunInstances"]).toBe(1);
  });

  it("looks again when EC2 says that what it remembers of a region is gone", async () => {
    const { context } = contextWith();
    await nodes.run(clusterSpec("one", 1), "t1", context);
    proxy.calls.length = 0;
    const gone = { kind: "refuse", status: 400, code: "InvalidGroup.NotFound", message: "It does not exist." } as const;
    proxy.faultOf = first("ec2:RunInstances", 1, gone);
    await nodes.run(clusterSpec("two", 1), "t2", context);
    expect(alive()).toBe(2);
    expect(proxy.counts()).toMatchObject({
      "ec2:RunInstances": 2,
      "ec2:DescribeImages": 1,
      "ec2:DescribeSubnets": 1,
      "ec2:DescribeSecurityGroups": 1,
    });
    proxy.faultOf = first("ec2:RunInstances", 9, gone);
    await expect(nodes.run(clusterSpec("three", 1), "t3", context)).rejects.toMatchObject({
      code: "REGION_UNUSABLE",
      isClean: true,
    });
    expect(proxy.counts()["ec2:RunInstances"]).toBe(4);
  });

  describe("a cluster with a group of its own", () => {
    const { context } = contextWith();
    const spec = clusterSpec("mine", 1, { ports: ["8080"] });

    async function ownGroups(): Promise<readonly SecurityGroup[]> {
      const Filters = [{ Name: "group-name", Values: ["sky-sg-mine-0a1b2c3d"] }];
      return (await moto.ec2().send(new DescribeSecurityGroupsCommand({ Filters }))).SecurityGroups ?? [];
    }

    it("gets a new one when it comes back", async () => {
      await nodes.run(spec, "t1", context);
      await nodes.terminate(refOf(spec), context);
      expect(await ownGroups()).toEqual([]);
      proxy.calls.length = 0;
      await nodes.run(spec, "t2", context);
      expect(await ownGroups()).toHaveLength(1);
      expect(proxy.counts()).toMatchObject({ "ec2:CreateSecurityGroup": 1, "ec2:RunInstances": 1 });
    });

    it("leaves none in another VPC, and goes although its nodes cannot be moved out of it", async () => {
      await nodes.run(clusterSpec("other", 1), "t0", context);
      await nodes.run(spec, "t1", context);
      const { Vpc } = await moto.ec2().send(new CreateVpcCommand({ CidrBlock: "10.9.0.0/16" }));
      const more = { GroupName: "sky-sg-mine-0a1b2c3d", Description: "tried before", VpcId: Vpc?.VpcId };
      await moto.ec2().send(new CreateSecurityGroupCommand(more));
      const busy = { kind: "refuse", status: 400, code: "IncorrectInstanceState", message: "It goes." } as const;
      proxy.faultOf = first("ec2:ModifyInstanceAttribute", 1, busy);
      await nodes.terminate(refOf(spec), context);
      expect(await ownGroups()).toEqual([]);
      expect(alive()).toBe(1);
    });

    it("is not taken down in part when its group cannot be looked for", async () => {
      await nodes.run(spec, "t1", context);
      const broken = { kind: "refuse", status: 400, code: "InvalidParameterValue", message: "No." } as const;
      proxy.faultOf = first("ec2:DescribeSecurityGroups", 1, broken);
      await expect(nodes.terminate(refOf(spec), context)).rejects.toThrow("InvalidParameterValue");
      await nodes.terminate(refOf(spec), context);
      expect(await ownGroups()).toEqual([]);
    });
  });

  describe("with capacity that is paid for", () => {
    const { context } = contextWith({ specific_reservations: ["cr-1"] });
    const refusal = { kind: "refuse", status: 400, code: "VcpuLimitExceeded", message: "No." } as const;

    beforeEach(() => {
      proxy.world.rules.reservations = [{ id: "cr-1", type: "m6i.large", zone: "us-east-1a", free: 2 }];
    });

    it("marks one head, whichever call makes it", async () => {
      await nodes.run(clusterSpec("mine", 4), "token", context);
      const runs = proxy.calls.filter((call) => call.action === "ec2:RunInstances");
      const reservation = "CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationId";
      expect(runs.map(({ params }) => [params.get("MinCount"), params.get(reservation)])).toEqual([
        ["2", "cr-1"],
        ["2", null],
      ]);
      expect(proxy.counts()["ec2:CreateTags"]).toBe(1);
    });

    it.each([
      ["the zone is full", NoCapacityError],
      ["the quota is used up", QuotaExceededError],
    ] as const)("leaves to the caller what came up before %s", async (why, kind) => {
      if (why === "the zone is full") proxy.world.rules.capacity = { "us-east-1a": 2 };
      else {
        proxy.faultOf = (call) =>
          call.action === "ec2:RunInstances" && proxy.world.ledger.size > 0 ? refusal : undefined;
      }
      const error = await nodes.run(clusterSpec("mine", 3), "token", context).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(kind);
      expect(error).toMatchObject({ isClean: false });
      expect(proxy.counts()["ec2:RunInstances"]).toBe(2);
      expect(alive()).toBe(2);
    });
  });

  it("asks again until EC2 knows the role that was just made", async () => {
    proxy.world.rules.profileMs = 700;
    const { context, lines } = contextWith();
    await nodes.run(clusterSpec("mine", 1), "token", context);
    expect(alive()).toBe(1);
    expect(lines).toEqual([]);
    expect(proxy.counts()).toMatchObject({
      "iam:CreateRole": 1,
      "iam:PutRolePolicy": 1,
      "iam:AddRoleToInstanceProfile": 1,
    });
  });

  it("waits for instances that are still stopping before it starts them", async () => {
    const { context, lines } = contextWith();
    const spec = clusterSpec("mine", 2);
    await nodes.run(spec, "token", context);
    proxy.world.rules.stoppingMs = Infinity;
    let starts = 0;
    proxy.faultOf = ({ action }) => {
      if (action === "ec2:StartInstances" && ++starts === 2) proxy.world.rules.stoppingMs = 0;
      return undefined;
    };
    await nodes.stop(refOf(spec), context);
    const stopping = await nodes.query(refOf(spec), context);
    expect(stopping.map((one) => one.state)).toEqual(["stopping", "stopping"]);
    await nodes.run(clusterSpec("mine", 2, { create: [], start: stopping.map((one) => one.id) }), "again", context);
    expect((await nodes.query(refOf(spec), context)).map((one) => one.state)).toEqual(["running", "running"]);
    expect(lines).toEqual([expect.stringContaining("still stopping")]);
  });

  it("looks for 250 clusters of a region with two calls", async () => {
    const { context } = contextWith();
    await nodes.run(clusterSpec("c7", 1), "token", context);
    proxy.calls.length = 0;
    const names = Array.from({ length: 250 }, (_, index) => `c${index}`);
    const refs = names.map((name) => refOf(clusterSpec(name, 1)));
    const seen = await nodes.queryMany(refs, context);
    expect(seen.map((one) => one.length).reduce((sum, one) => sum + one, 0)).toBe(1);
    expect(seen[7]).toHaveLength(1);
    expect(proxy.counts()["ec2:DescribeInstances"]).toBe(2);
  });

  it("launches with eleven calls in a region that it never saw, seven of them at once", async () => {
    await moto.createRole("skypilot-v1");
    await nodes.run(clusterSpec("mine", 1), "token", contextWith().context);
    expect(proxy.counts()).toEqual({
      "sts:GetCallerIdentity": 1,
      "iam:GetInstanceProfile": 1,
      "ec2:DescribeVpcs": 1,
      "ec2:DescribeSubnets": 1,
      "ec2:DescribeRouteTables": 1,
      "ec2:DescribeSecurityGroups": 1,
      "ec2:DescribeImages": 1,
      "servicequotas:GetServiceQuota": 1,
      "ec2:CreateSecurityGroup": 1,
      "ec2:AuthorizeSecurityGroupIngress": 1,
      "ec2:RunInstances": 1,
    });
  });

  it("keeps what it knows of a region, so that the second launch is one call", async () => {
    const { context } = contextWith();
    await nodes.run(clusterSpec("one", 1), "t1", context);
    proxy.calls.length = 0;
    await nodes.run(clusterSpec("two", 1), "t2", context);
    expect(proxy.counts()).toEqual({ "ec2:RunInstances": 1 });
  });
});
