import { RunInstancesCommand, type _InstanceType } from "@aws-sdk/client-ec2";
import { GetCallerIdentityCommand } from "@aws-sdk/client-sts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FEATURES, STATEMENTS, type ActionRow, type Feature } from "../../src/clouds/aws/actions.ts";
import { openClients, type AwsSession } from "../../src/clouds/aws/clients.ts";
import { buildPolicy, type PolicyDocument } from "../../src/clouds/aws/policy/document.ts";
import { matchesPattern } from "../../src/clouds/aws/policy/remedy.ts";
import { judgedRows, missingStatements, type PermissionReport } from "../../src/clouds/aws/preflight/report.ts";
import { runPreflight, type PreflightWish } from "../../src/clouds/aws/preflight/run.ts";
import { Gate } from "../support/aws/gate.ts";
import { Moto, findMoto, type LoosePolicy } from "../support/aws/moto.ts";
import { evaluate, type Statement } from "../support/aws/policy-evaluator.ts";

const ACCOUNT = "123456789012";
const WISH: Omit<PreflightWish, "principal"> = {
  region: "us-east-1",
  capabilities: [],
  buckets: ["data-bucket"],
  network: { vpcNames: [], subnetNames: [], isInternal: false, usesSsm: false },
};
const features = (Object.keys(FEATURES) as Feature[]).filter((name) => name !== "kms");
const everything = buildPolicy({ tier: "user", features, account: ACCOUNT, regions: [], isTagScoped: false });
const rows = judgedRows();
const actions = [...new Set(rows.map((row) => row.action))];

function statementsOf(policy: PolicyDocument): Statement[] {
  return structuredClone(policy.Statement) as Statement[];
}

/** The policy without one action; `ec2:Describe*` falls apart into the calls that the product makes. */
function without(policy: PolicyDocument, action: string): Statement[] {
  return statementsOf(policy).flatMap((each) => {
    const spelled = [each.Action]
      .flat()
      .flatMap((name) => (name.endsWith("*") ? actions.filter((known) => matchesPattern(name, known)) : [name]));
    const left = spelled.filter((name) => name !== action);
    return left.length === 0 ? [] : [{ ...each, Action: left }];
  });
}

/** moto looks at actions only, and refuses every statement that has a condition or names resources. */
function widened(statements: readonly Statement[]): LoosePolicy {
  const wide = statements.map(({ Effect, Action }) => ({ Effect, Action, Resource: "*" }));
  return { Version: "2012-10-17", Statement: wide };
}

async function preflight(session: AwsSession): Promise<PermissionReport> {
  const clients = openClients(session);
  try {
    const { Arn: arn = "", Account: account = "" } = await (await clients.sts()).send(new GetCallerIdentityCommand({}));
    return await runPreflight(clients, { ...WISH, principal: { arn, account } });
  } finally {
    clients.close();
  }
}

function denied(report: PermissionReport): string[] {
  return [...new Set(report.actions.filter((each) => each.status === "denied").map((each) => each.action))];
}

describe.skipIf(findMoto() === undefined)("AWS permissions (moto)", () => {
  let moto: Moto;
  let gate: Gate;
  let instanceId = "";

  beforeAll(async () => {
    moto = await Moto.start();
    gate = await Gate.open(moto.url);
    await moto.createBucket("data-bucket");
    await moto.createRole("skypilot-v1");
    instanceId = await launchOne(moto);
    gate.tags.set(instanceId, { "skypilot-cluster-name": "c" });
  });
  afterAll(async () => {
    await gate.close();
    moto.stop();
  });

  describe("with AWS's rules for resources and conditions", () => {
    it("finds nothing missing with the printed policy, and asks for nothing that is not in the table", async () => {
      const user = gate.user("all", statementsOf(everything));
      gate.asked.length = 0;
      const report = await preflight(gate.session(user));
      const open = report.actions.filter((each) => each.status !== "allowed");
      expect(open.map((each) => `${each.id} ${each.status}: ${each.why}`)).toEqual([]);
      expect(report.capabilities.filter((each) => each.status !== "allowed")).toEqual([]);
      const known = new Set([...actions, "iam:SimulatePrincipalPolicy"]);
      expect(gate.asked.filter((action) => !known.has(action))).toEqual([]);
    });

    it("finds nothing missing with the tag-scoped policy", async () => {
      const policy = buildPolicy({
        tier: "user",
        features,
        account: ACCOUNT,
        regions: ["us-east-1"],
        isTagScoped: true,
      });
      const report = await preflight(gate.session(gate.user("scoped", statementsOf(policy))));
      const open = report.actions.filter((each) => each.status !== "allowed");
      expect(open.map((each) => `${each.id} ${each.status}: ${each.why}`)).toEqual([]);
    });

    it.each(actions)("names exactly %s when it is removed, and a statement that brings it back", async (action) => {
      const user = gate.user("minus", without(everything, action));
      const report = await preflight(gate.session(user));
      expect(denied(report)).toEqual([action]);
      const [verdict] = report.actions.filter((each) => each.status === "denied");
      expect(verdict?.principal).toBe(`arn:aws:iam::${ACCOUNT}:user/minus`);
      user.policy = [...user.policy, ...(missingStatements(report.actions) as readonly Statement[])];
      expect(denied(await preflight(gate.session(user)))).toEqual([]);
    });

    it("says unknown, with why, where it may neither try nor simulate", async () => {
      const user = gate.user("blind", without(everything, "iam:SimulatePrincipalPolicy"));
      const report = await preflight(gate.session(user));
      const unknown = report.actions.filter((each) => each.status === "unknown");
      expect(unknown.map((each) => each.action)).toEqual(
        rows.filter((row) => row.trial === "none").map((row) => row.action),
      );
      expect(unknown[0]?.why).toBe(
        "it cannot be tried without an effect, and iam:SimulatePrincipalPolicy is not allowed",
      );
      expect(denied(report)).toEqual([]);
    });

    it("reads encoded refusals when it may decode them", async () => {
      gate.isTerse = true;
      const user = gate.user("terse", without(everything, "iam:PassRole"));
      const report = await preflight(gate.session(user)).finally(() => {
        gate.isTerse = false;
      });
      const verdict = report.actions.find((each) => each.action === "iam:PassRole");
      expect(verdict).toMatchObject({
        status: "denied",
        resource: `arn:aws:iam::${ACCOUNT}:role/skypilot-v1`,
        why: "EC2's dry run",
      });
    });

    it("proposes no statement against an explicit deny", async () => {
      const deny = { Sid: "No", Effect: "Deny", Action: "ec2:TerminateInstances", Resource: "*" };
      const report = await preflight(gate.session(gate.user("deny", [...statementsOf(everything), deny])));
      const verdict = report.actions.find((each) => each.action === "ec2:TerminateInstances");
      expect(verdict).toMatchObject({ status: "denied", statement: null, why: "EC2's dry run; an explicit deny" });
    });

    it("changes nothing", async () => {
      const before = await moto.state();
      await preflight(gate.session(gate.user("all2", statementsOf(everything))));
      expect(await moto.state()).toEqual(before);
    });
  });

  describe("with moto's own enforcement", () => {
    const triable = [...new Set(rows.filter((row) => isTriableInMoto(row)).map((row) => row.action))];
    let session: AwsSession;

    beforeAll(async () => {
      session = moto.session(await moto.createUser("ann", widened(statementsOf(everything))));
    });
    afterAll(() => moto.setEnforced(false));

    it.each(triable)("names exactly %s when it is removed", async (action) => {
      await moto.setEnforced(false);
      await moto.setPolicy("ann", widened(without(everything, action)));
      await moto.setEnforced(true);
      expect(denied(await preflight(session))).toEqual([action]);
    });
  });
});

/** moto does not check the role that is passed, and refuses quotas in a form that is not AWS's; the others it has not. */
const NOT_IN_MOTO = new Set([
  "iam:PassRole",
  "ec2:DescribeCapacityReservations",
  "ec2:DescribePlacementGroups",
  "servicequotas:GetServiceQuota",
]);

function isTriableInMoto(row: ActionRow): boolean {
  return row.trial !== "none" && !NOT_IN_MOTO.has(row.action);
}

async function launchOne(moto: Moto): Promise<string> {
  const clients = openClients(moto.session());
  const ec2 = await clients.ec2();
  const tags = [{ Key: "skypilot-cluster-name", Value: "c" }];
  const launched = await ec2.send(
    new RunInstancesCommand({
      ImageId: "ami-12c6146b",
      InstanceType: "m6i.large" satisfies _InstanceType,
      MinCount: 1,
      MaxCount: 1,
      TagSpecifications: [{ ResourceType: "instance", Tags: tags }],
    }),
  );
  clients.close();
  return launched.Instances?.[0]?.InstanceId ?? "";
}

describe("the rules that stand in for AWS's", () => {
  const allow: Statement = { Effect: "Allow", Action: "ec2:*", Resource: "arn:aws:ec2:*:1:instance/*" };
  it.each([
    ["allowed", [allow], "ec2:StopInstances", "arn:aws:ec2:eu:1:instance/i"],
    ["implicitDeny", [allow], "ec2:StopInstances", "arn:aws:ec2:eu:1:volume/v"],
    ["implicitDeny", [], "ec2:StopInstances", "*"],
    ["explicitDeny", [allow, { ...allow, Effect: "Deny" }], "EC2:stopinstances", "arn:aws:ec2:eu:1:instance/i"],
  ] as const)("decide %s", (decision, statements, action, resource) => {
    expect(evaluate(statements, { action, resource, context: {} }).decision).toBe(decision);
  });

  it("are those of the table: a statement for each tier", () => {
    expect(Object.values(STATEMENTS).every((each) => each.tiers.length > 0)).toBe(true);
  });
});
