import { DescribeInstancesCommand, DescribeSecurityGroupsCommand, DescribeTagsCommand } from "@aws-sdk/client-ec2";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ACTIONS, ROLE_NAME, type Feature } from "../../src/clouds/aws/actions.ts";
import type { AwsNodes } from "../../src/clouds/aws/nodes/nodes.ts";
import { buildPolicy } from "../../src/clouds/aws/policy/document.ts";
import { CloudAccessError } from "../../src/shared/errors.ts";
import { Gate } from "../support/aws/gate.ts";
import { findMoto, Moto } from "../support/aws/moto.ts";
import { clusterSpec, contextWith, openNodes, refOf, type Told } from "../support/aws/node-rig.ts";
import type { Statement } from "../support/aws/policy-evaluator.ts";

const ACCOUNT = "123456789012";

function policy(...features: readonly Feature[]): Statement[] {
  const wish = { tier: "user", features, account: ACCOUNT, regions: [], isTagScoped: false } as const;
  return structuredClone(buildPolicy(wish).Statement) as Statement[];
}

/** The statements without one action on one kind of resource, or everywhere. */
function without(statements: readonly Statement[], action: string, kind?: string): Statement[] {
  return statements.flatMap((each) => {
    const actions = [each.Action].flat();
    if (!actions.includes(action)) return [each];
    const rest = { ...each, Action: actions.filter((name) => name !== action) };
    const narrowed = {
      ...each,
      Action: [action],
      Resource: [each.Resource].flat().filter((arn) => !arn.includes(`:${kind}/`)),
    };
    return [rest, ...(kind === undefined ? [] : [narrowed])].filter((one) => one.Action.length > 0);
  });
}

describe.skipIf(findMoto() === undefined)("what nodes on EC2 need of a policy", () => {
  let moto: Moto;
  let gate: Gate;
  let told: Told;

  beforeAll(async () => {
    moto = await Moto.start({ withNodeImages: true });
  }, 60_000);
  afterAll(() => moto.stop());
  beforeEach(async () => {
    await moto.reset();
    await moto.connectDefaultVpc();
    gate = await Gate.open(moto.url);
    told = contextWith();
  });
  afterEach(async () => {
    const known = new Set(ACTIONS.map((row) => row.action));
    expect(gate.asked.filter((action) => !known.has(action))).toEqual([]);
    await gate.close();
  });

  function nodesOf(statements: Statement[]): AwsNodes {
    gate.user("ann", statements);
    return openNodes(gate.url, { AWS_ACCESS_KEY_ID: "AKIAGATEANN", AWS_SECRET_ACCESS_KEY: "secret" });
  }

  async function wholeLife(nodes: AwsNodes): Promise<void> {
    const { context } = told;
    const spec = clusterSpec("mine", 2);
    const ref = refOf(spec);
    await nodes.run(spec, "token", context);
    const seen = await nodes.query(ref, context);
    expect(seen.map((one) => one.state)).toEqual(["running", "running"]);
    await nodes.stop(ref, context);
    await nodes.run(clusterSpec("mine", 2, { create: [], start: seen.map((one) => one.id) }), "again", context);
    await nodes.terminate(ref, context);
    expect(await nodes.query(ref, context)).toEqual([]);
  }

  it("is the minimal policy, with a role that is there", async () => {
    await moto.createRole(ROLE_NAME);
    await wholeLife(nodesOf(policy()));
    expect(told.lines).toEqual([]);
  });

  it("is one feature more for a role that is not", async () => {
    await wholeLife(nodesOf(policy("role")));
    expect(told.lines).toEqual([]);
    expect(gate.asked).toContain("iam:AddRoleToInstanceProfile");
  });

  it("is the minimal policy for nodes without a role, and the user is told", async () => {
    await wholeLife(nodesOf(policy()));
    expect(told.lines).toEqual([expect.stringContaining(`there is no ${ROLE_NAME} in the account`)]);
    const [instance] = await instances();
    expect(instance?.IamInstanceProfile).toBeUndefined();
  });

  it("refuses when the settings ask for the role", async () => {
    const { context } = contextWith({ remote_identity: "SERVICE_ACCOUNT" });
    const launch = nodesOf(policy()).run(clusterSpec("mine", 1), "token", context);
    await expect(launch).rejects.toThrow(
      `The role ${ROLE_NAME} of the nodes is missing, aws.remote_identity asks for it, and it cannot be created: AWS refused iam:CreateRole`,
    );
    await expect(launch).rejects.toBeInstanceOf(CloudAccessError);
    expect(await instances()).toEqual([]);
  });

  it("makes a role with the narrow policy", async () => {
    await nodesOf(policy("role")).run(clusterSpec("mine", 1), "token", told.context);
    expect(gate.asked).toContain("iam:PutRolePolicy");
    expect(gate.asked).not.toContain("iam:AttachRolePolicy");
    const [instance] = await instances();
    expect(instance?.IamInstanceProfile?.Arn).toBe(`arn:aws:iam::${ACCOUNT}:instance-profile/${ROLE_NAME}`);
  });

  it("goes on without tags on volumes and groups", async () => {
    await moto.createRole(ROLE_NAME);
    const narrowed = without(without(policy(), "ec2:CreateTags", "volume"), "ec2:CreateTags", "security-group");
    const nodes = nodesOf(narrowed);
    await nodes.run(clusterSpec("one", 1), "t1", told.context);
    await nodes.run(clusterSpec("two", 1), "t2", told.context);
    expect(told.lines).toEqual([expect.stringContaining("Volumes will not be tagged in us-east-1")]);
    const tags = (await moto.ec2().send(new DescribeTagsCommand({}))).Tags ?? [];
    expect([...new Set(tags.map((tag) => tag.ResourceType))]).toEqual(["instance"]);
    const strict = contextWith({ enforce_tags: ["volume"] });
    await expect(nodes.run(clusterSpec("three", 1), "t3", strict.context)).rejects.toThrow(
      "Volume tagging is required in us-east-1 by aws.enforce_tags",
    );
  });

  it("opens and closes ports with the feature ports", async () => {
    await moto.createRole(ROLE_NAME);
    const nodes = nodesOf(policy("ports"));
    const spec = clusterSpec("mine", 1, { ports: ["8080", "9000-9010"] });
    await nodes.run(clusterSpec("other", 1), "t0", told.context);
    await nodes.run(spec, "token", told.context);
    expect(await openPorts("sky-sg-mine-0a1b2c3d")).toEqual(["22", "8080", "9000-9010", "all"]);
    await nodes.openPorts(refOf(spec), ["7000"], told.context);
    expect(await openPorts("sky-sg-mine-0a1b2c3d")).toContain("7000");
    await nodes.openPorts(refOf(clusterSpec("other", 1)), ["6000"], told.context);
    expect(await openPorts("sky-sg-other-0a1b2c3d")).toEqual(["22", "6000", "all"]);
    await nodes.terminate(refOf(spec), told.context);
    expect(await openPorts("sky-sg-mine-0a1b2c3d")).toBeUndefined();
    expect(told.lines).toEqual([]);
  });

  it("stops at once when a launch is denied, and says which action", async () => {
    await moto.createRole(ROLE_NAME);
    const launch = nodesOf(without(policy(), "ec2:RunInstances")).run(clusterSpec("mine", 1), "token", told.context);
    await expect(launch).rejects.toMatchObject({
      code: "CLOUD_ACCESS",
      denied: { action: "ec2:RunInstances", principal: `arn:aws:iam::${ACCOUNT}:user/ann` },
    });
    expect(gate.asked.filter((action) => action === "ec2:RunInstances")).toHaveLength(1);
  });

  async function instances() {
    const answer = await moto.ec2().send(new DescribeInstancesCommand({}));
    return (answer.Reservations ?? []).flatMap((each) => each.Instances ?? []);
  }

  async function openPorts(name: string): Promise<readonly string[] | undefined> {
    const all = (await moto.ec2().send(new DescribeSecurityGroupsCommand({}))).SecurityGroups ?? [];
    const group = all.find((each) => each.GroupName === name);
    const rules = group?.IpPermissions?.map(({ IpProtocol, FromPort, ToPort }) => {
      if (IpProtocol === "-1") return "all";
      return FromPort === ToPort ? `${FromPort}` : `${FromPort}-${ToPort}`;
    });
    return rules?.toSorted((one, other) => one.localeCompare(other));
  }
});
