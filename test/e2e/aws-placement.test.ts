import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ACTIONS } from "../../src/clouds/aws/actions.ts";
import { buildPolicy } from "../../src/clouds/aws/policy/document.ts";
import { Gate } from "../support/aws/gate.ts";
import type { AwsNodes } from "../../src/clouds/aws/nodes/nodes.ts";
import type { ClusterSpec } from "../../src/core/ports/cloud.ts";
import { NoCapacityError } from "../../src/shared/errors.ts";
import type { FaultProxy } from "../support/aws/fault-proxy.ts";
import { type Fault } from "../support/aws/fault-proxy.ts";
import { findMoto, Moto } from "../support/aws/moto.ts";
import { freshProxy, clusterSpec, contextWith, openNodes, refOf, type SpecChanges } from "../support/aws/node-rig.ts";

const GROUP = "sky-pg-mine-0a1b2c3d";
const HERE = `us-east-1/${GROUP}`;

function efaSpec(numNodes: number, changes: SpecChanges = {}): ClusterSpec {
  const node = { networkTier: "best" } as const;
  const offer = { instanceType: "g4dn.8xlarge", ...changes.offer };
  return clusterSpec("mine", numNodes, { ...changes, node, offer });
}

function denied(action: string, resource = `arn:aws:ec2:us-east-1:123456789012:placement-group/${GROUP}`): Fault {
  const message = `You are not authorized to perform this operation. User: arn:aws:iam::123456789012:user/ann is not authorized to perform: ${action} on resource: ${resource} because no identity-based policy allows the ${action} action.`;
  return { kind: "refuse", status: 403, code: "UnauthorizedOperation", message };
}

describe.skipIf(findMoto() === undefined)("nodes with EFA", () => {
  let moto: Moto;
  let proxy: FaultProxy;
  let nodes: AwsNodes;

  beforeAll(async () => {
    moto = await Moto.start({ withNodeImages: true });
  }, 60_000);
  afterAll(() => moto.stop());
  beforeEach(async () => {
    proxy = await freshProxy(moto);
    nodes = openNodes(proxy.url);
  });
  afterEach(() => proxy.close());

  const groups = (): readonly string[] => proxy.world.placement.names();
  /** The group of each launch, in order. */
  const launches = (): readonly (string | null)[] =>
    proxy.calls.flatMap((call) => (call.action === "ec2:RunInstances" ? [call.params.get("Placement.GroupName")] : []));

  it("are launched close together, in a group that goes with them", async () => {
    const { context, lines } = contextWith();
    const spec = efaSpec(2);
    await nodes.run(spec, "token", context);
    expect(groups()).toEqual([HERE]);
    expect(launches()).toEqual([GROUP]);
    const made = proxy.calls.find((call) => call.action === "ec2:CreatePlacementGroup");
    expect(made?.params.get("Strategy")).toBe("cluster");
    // The same launch again, as after a crash, and one more node.
    await nodes.run(spec, "token", context);
    await nodes.run({ ...efaSpec(3), create: [2] }, "more", context);
    expect(launches()).toEqual([GROUP, GROUP, GROUP]);
    expect(await nodes.query(refOf(spec), context)).toHaveLength(3);
    proxy.world.placement.rules.leavingMs = Infinity;
    proxy.faultOf = ({ action }) => {
      const isAgain = action === "ec2:DeletePlacementGroup" && (proxy.counts()[action] ?? 0) > 1;
      if (isAgain) proxy.world.placement.rules.leavingMs = 0;
      return undefined;
    };
    await nodes.terminate(refOf(spec), context);
    expect(groups()).toEqual([]);
    expect(proxy.counts()["ec2:DeletePlacementGroup"]).toBeGreaterThan(1);
    expect(lines).toEqual([]);
  });

  it.each<readonly [string, ClusterSpec, object]>([
    ["one node", efaSpec(1), {}],
    ["nodes without EFA", efaSpec(2, { offer: { instanceType: "m6i.large" } }), {}],
    ["capacity that is paid for", efaSpec(2), { prioritize_reservations: true }],
  ])("have no group: %s", async (_, spec, aws) => {
    const { context } = contextWith(aws);
    await nodes.run(spec, "token", context);
    await nodes.terminate(refOf(spec), context);
    expect(launches()).toEqual([null]);
    expect(Object.keys(proxy.counts()).filter((name) => name.includes("PlacementGroup"))).toEqual([]);
  });

  it("wait until EC2 knows the group", async () => {
    proxy.world.placement.rules.unknownMs = Infinity;
    proxy.faultOf = ({ action }) => {
      if (action === "ec2:RunInstances" && launches().length > 1) proxy.world.placement.rules.unknownMs = 0;
      return undefined;
    };
    const { context } = contextWith();
    await nodes.run(efaSpec(2), "token", context);
    expect(launches().length).toBeGreaterThan(1);
    expect(await nodes.query(refOf(efaSpec(2)), context)).toHaveLength(2);
  });

  it("are placed apart, and that is said, where there is no room close together", async () => {
    proxy.world.placement.rules.crowded = ["us-east-1a"];
    const { context, lines } = contextWith();
    await nodes.run(efaSpec(2), "token", context);
    expect(launches()).toEqual([GROUP, null]);
    expect(groups()).toEqual([]);
    expect(lines).toEqual(["The nodes are not placed close together: there is no room for that in us-east-1a."]);
  });

  it.each<readonly [string, string, readonly (string | null)[]]>([
    ["ec2:CreatePlacementGroup", "ec2:CreatePlacementGroup", [null]],
    ["ec2:RunInstances", "ec2:RunInstances", [GROUP, null]],
  ])("are placed apart, and that is said, without %s", async (action, call, expected) => {
    proxy.faultOf = (seen) =>
      seen.action === call && (seen.params.get("Placement.GroupName") ?? seen.params.get("GroupName")) === GROUP
        ? denied(action)
        : undefined;
    const { context, lines } = contextWith();
    await nodes.run(efaSpec(2), "token", context);
    expect(launches()).toEqual(expected);
    expect(groups()).toEqual([]);
    expect(lines).toEqual([
      `The nodes are not placed close together: ${action} is not allowed (sky aws policy --features efa).`,
    ]);
  });

  it.each([false, true])("need what the policy with the feature efa has (limited to tags: %s)", async (isTagScoped) => {
    await moto.createRole("skypilot-v1");
    const gate = await Gate.open(proxy.url);
    proxy.onDone = (_, answer) => {
      for (const [, id = ""] of answer.matchAll(/<instanceId>([^<]+)</gu)) {
        gate.tags.set(id, { "skypilot-cluster-name": "mine-0a1b2c3d" });
      }
    };
    try {
      const account = "123456789012";
      const wish = { tier: "user", features: ["efa"], account, regions: ["us-east-1"], isTagScoped } as const;
      gate.user("ann", buildPolicy(wish).Statement);
      const allowed = openNodes(gate.url, { AWS_ACCESS_KEY_ID: "AKIAGATEANN", AWS_SECRET_ACCESS_KEY: "secret" });
      const { context, lines } = contextWith();
      await allowed.run(efaSpec(2), "token", context);
      expect(launches()).toEqual([GROUP]);
      await allowed.terminate(refOf(efaSpec(2)), context);
      expect(groups()).toEqual([]);
      expect(lines).toEqual([]);
      const known = new Set(ACTIONS.map((row) => row.action));
      expect(gate.asked.filter((action) => !known.has(action))).toEqual([]);
      expect(gate.asked).toEqual(expect.arrayContaining(["ec2:CreatePlacementGroup", "ec2:DeletePlacementGroup"]));
    } finally {
      await gate.close();
    }
  });

  it("need no right to tag the group", async () => {
    proxy.faultOf = ({ action, params }) =>
      action === "ec2:CreatePlacementGroup" && params.has("TagSpecification.1.ResourceType")
        ? denied("ec2:CreateTags")
        : undefined;
    const { context, lines } = contextWith();
    await nodes.run(efaSpec(2), "token", context);
    expect(launches()).toEqual([GROUP]);
    expect(lines).toEqual([]);
  });

  it("leave no group behind when the launch fails", async () => {
    proxy.world.rules.capacity = { "*": 1 };
    const { context } = contextWith();
    await expect(nodes.run(efaSpec(2), "token", context)).rejects.toBeInstanceOf(NoCapacityError);
    expect(launches()).toEqual([GROUP, null]);
    expect(groups()).toEqual([]);
  });

  it("take their group with them when a failed launch terminates them by name", async () => {
    const { context } = contextWith();
    const spec = efaSpec(2);
    await nodes.run(spec, "token", context);
    const seen = await nodes.query(refOf(spec), context);
    const ids = seen.map((one) => one.id);
    await nodes.terminate(refOf(spec), context, ids.slice(1));
    expect(groups()).toEqual([HERE]);
    await nodes.terminate(refOf(spec), context, ids.slice(0, 1));
    expect(groups()).toEqual([]);
  });

  it("that went by themselves leave a group, which is found and deleted", async () => {
    const { context } = contextWith();
    const spec = efaSpec(2);
    await nodes.run(spec, "token", context);
    const ids = (await nodes.query(refOf(spec), context)).map((one) => one.id);
    proxy.faultOf = ({ action }) => (action === "ec2:DeletePlacementGroup" ? denied(action) : undefined);
    await nodes.terminate(refOf(spec), context, ids);
    expect(groups()).toEqual([HERE]);
    proxy.faultOf = () => undefined;
    const found = await nodes.findClusters(context);
    expect(found.map(({ ref, instances }) => [ref.nameOnCloud, ref.region, instances.length])).toEqual([
      ["mine-0a1b2c3d", "us-east-1", 0],
    ]);
    await nodes.terminate(refOf(spec), context);
    expect(groups()).toEqual([]);
    expect(await nodes.findClusters(context)).toEqual([]);
  });

  it("come to one launch and one group when answers are lost", async () => {
    const lost = new Set<string>();
    proxy.faultOf = ({ action }) => {
      if (!/Placement|RunInstances/u.test(action) || lost.has(action)) return undefined;
      lost.add(action);
      return { kind: "lose" };
    };
    const { context, lines } = contextWith();
    const spec = efaSpec(2);
    await nodes.run(spec, "token", context);
    expect(await nodes.query(refOf(spec), context)).toHaveLength(2);
    await nodes.terminate(refOf(spec), context);
    expect(groups()).toEqual([]);
    expect(lines).toEqual([]);
    expect([...lost].toSorted()).toEqual(["ec2:CreatePlacementGroup", "ec2:DeletePlacementGroup", "ec2:RunInstances"]);
  });
});
