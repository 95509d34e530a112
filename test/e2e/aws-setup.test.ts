import { GetInstanceProfileCommand } from "@aws-sdk/client-iam";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { CloudCommandContext } from "../../src/core/ports/cloud.ts";
import { openClients, type AwsSession } from "../../src/clouds/aws/clients.ts";
import type { OpenSession } from "../../src/clouds/aws/command-args.ts";
import { policyCommand } from "../../src/clouds/aws/policy/command.ts";
import { buildPolicy } from "../../src/clouds/aws/policy/document.ts";
import { permissionsCommand } from "../../src/clouds/aws/preflight/command.ts";
import { setupCommand } from "../../src/clouds/aws/setup/command.ts";
import { Gate } from "../support/aws/gate.ts";
import { findMoto, Moto } from "../support/aws/moto.ts";
import type { Statement } from "../support/aws/policy-evaluator.ts";

const ACCOUNT = "123456789012";
const ADMIN = buildPolicy({ tier: "admin-setup", features: [], account: ACCOUNT, regions: [], isTagScoped: false })
  .Statement as readonly Statement[];

describe.skipIf(findMoto() === undefined)("the commands of AWS (moto)", () => {
  let moto: Moto;
  let gate: Gate;
  const said: string[] = [];

  beforeAll(async () => {
    moto = await Moto.start();
    gate = await Gate.open(moto.url);
  });
  beforeEach(async () => {
    await moto.reset();
    said.length = 0;
  });
  afterAll(async () => {
    await gate.close();
    moto.stop();
  });

  function opener(name: string, policy: readonly Statement[]): OpenSession {
    const session: AwsSession = gate.session(gate.user(name, policy));
    const identity = { userId: "AIDAGATE", account: ACCOUNT, arn: `arn:aws:iam::${ACCOUNT}:user/${name}` };
    return () => ({ session, identity: () => Promise.resolve(identity) });
  }

  function context(config: Readonly<Record<string, unknown>> = {}): CloudCommandContext {
    return {
      workspace: "default",
      config,
      env: {},
      signal: new AbortController().signal,
      say: (line) => said.push(line),
      openUrl: () => undefined,
    };
  }

  it("setup shows first, does then, and has nothing left to do the second time, with the printed admin policy alone", async () => {
    const setup = setupCommand(opener("admin", ADMIN));
    const before = await moto.state();
    expect(await setup.run({ dry_run: true }, context())).toMatchObject({
      isDone: false,
      text: expect.stringContaining("- create the role skypilot-v1, which only EC2 may take"),
    });
    expect(await moto.state()).toEqual(before);

    expect(await setup.run({}, context())).toMatchObject({
      isDone: true,
      text: expect.stringContaining("Attach the policy skypilot-user to the users, groups or roles"),
    });
    expect(said).toHaveLength(5);
    const clients = openClients(moto.session());
    const found = await (
      await clients.iam()
    ).send(new GetInstanceProfileCommand({ InstanceProfileName: "skypilot-v1" }));
    clients.close();
    expect(found.InstanceProfile?.Roles?.map((role) => role.RoleName)).toEqual(["skypilot-v1"]);

    said.length = 0;
    expect(await setup.run({}, context())).toMatchObject({
      text: expect.stringContaining(`Account ${ACCOUNT} is set up: nothing is left to do.`),
    });
    expect(said).toEqual([]);
  });

  it("setup changes the policy as often as it is asked to, though IAM keeps five versions", async () => {
    const setup = setupCommand(opener("admin", ADMIN));
    const regions = ["us-east-1", "us-east-2", "us-west-1", "us-west-2", "eu-west-1", "eu-west-2", "eu-west-3"];
    for (const region of regions) {
      expect(await setup.run({ regions: [region] }, context())).toMatchObject({ isDone: true });
    }
    expect(await setup.run({ regions: ["eu-west-3"], dry_run: true }, context())).toMatchObject({
      plan: { steps: [] },
    });
  });

  it("setup that is refused says which action is missing, and goes on once it is granted", async () => {
    const user = gate.user(
      "half",
      ADMIN.filter((each) => each.Sid !== "SetupPolicy"),
    );
    const readable = { Sid: "R", Effect: "Allow", Action: ["iam:GetPolicy", "iam:GetPolicyVersion"], Resource: "*" };
    user.policy = [...user.policy, readable];
    const setup = setupCommand(opener("half", user.policy));
    await expect(setup.run({}, context())).rejects.toMatchObject({
      message: `AWS refused iam:CreatePolicy on arn:aws:iam::${ACCOUNT}:policy/skypilot-user to arn:aws:iam::${ACCOUNT}:user/half.`,
      hint: expect.stringContaining('"Sid":"SetupPolicy","Effect":"Allow","Action":"iam:CreatePolicy"'),
    });
    const again = (await setupCommand(opener("admin", ADMIN)).run({ dry_run: true }, context())) as {
      plan: { steps: { kind: string }[] };
    };
    expect(again.plan.steps.map((step) => step.kind)).toEqual(["create-policy"]);
  });

  it("policy prints what a task needs, and with --diff what the principal lacks of it", async () => {
    const task = { resources: { use_spot: true, ports: [80] }, file_mounts: { "/d": "s3://data" } };
    const minimal = buildPolicy({
      tier: "user",
      features: ["spot"],
      account: ACCOUNT,
      regions: [],
      isTagScoped: false,
    });
    const simulate = { Effect: "Allow", Action: "iam:SimulatePrincipalPolicy", Resource: "*" };
    const policy = policyCommand(opener("ann", [...(minimal.Statement as readonly Statement[]), simulate]));
    const printed = (await policy.run({ task }, context())) as { text: string };
    const sids = (JSON.parse(printed.text) as typeof minimal).Statement.map((each) => each.Sid);
    expect(sids.slice(8)).toEqual(["Spot", "Ports", "S3Objects", "S3Buckets", "S3List"]);

    const diff = (await policy.run({ task, diff: true }, context())) as { text: string; missing: { Sid: string }[] };
    expect(diff.missing.map((each) => each.Sid)).toEqual(["Ports", "S3Objects", "S3Buckets", "S3List"]);
    expect(diff.text).toContain("Missing to the user ann:\n+ {");
  });

  it("permissions reports on what a task needs, in a VPC that the config names", async () => {
    const all = [{ Effect: "Allow", Action: "*", Resource: "*" }];
    const permissions = permissionsCommand(opener("boss", all));
    const config = { aws: { vpc_names: ["nowhere"] } };
    const answer = (await permissions.run({ task: { resources: { use_spot: true } } }, context(config))) as {
      text: string;
    };
    expect(answer.text).toContain("launch       allowed");
    expect(answer.text).toContain("custom VPC   allowed");
    expect(answer.text).not.toContain("clone disk");
    expect(answer.text).toContain("✗ No VPC with name 'nowhere' is found in us-east-1.");
    expect(answer.text).toContain("Note: The instance profile skypilot-v1 does not exist yet");
  });

  it("permissions prints what is denied and what to add", async () => {
    const minimal = buildPolicy({
      tier: "user",
      features: ["explain"],
      account: ACCOUNT,
      regions: [],
      isTagScoped: false,
    });
    const statements = (minimal.Statement as readonly Statement[]).filter((each) => each.Sid !== "Lifecycle");
    const answer = (await permissionsCommand(opener("ann", statements)).run({ task: {} }, context())) as {
      text: string;
    };
    expect(answer.text).toContain(
      "  launch       allowed\n  stop, start  denied   ec2:StartInstances, ec2:StopInstances\n",
    );
    expect(answer.text).toContain(
      'Add to the policy of the user ann:\n  {"Sid":"Lifecycle","Effect":"Allow","Action":["ec2:StartInstances","ec2:StopInstances","ec2:TerminateInstances"],"Resource":"arn:aws:ec2:*:123456789012:instance/*"}',
    );
  });
});
