import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildPolicy } from "../../src/clouds/aws/policy/document.ts";
import { Gate, type GateUser } from "../support/aws/gate.ts";
import { findMoto, Moto } from "../support/aws/moto.ts";
import type { Statement } from "../support/aws/policy-evaluator.ts";
import { plainText } from "./support/plain-text.ts";
import { Sandbox } from "./support/sandbox.ts";

const ACCOUNT = "123456789012";
const SPOT_TASK =
  "resources:\n  use_spot: true\n  ports: 8080\nfile_mounts:\n  /data: s3://data-bucket\nrun: echo hi\n";

function statements(features: Parameters<typeof buildPolicy>[0]["features"]): readonly Statement[] {
  return buildPolicy({ tier: "user", features, account: ACCOUNT, regions: [], isTagScoped: false }).Statement;
}

describe.skipIf(findMoto() === undefined)("the built CLI and AWS's permissions (moto)", () => {
  let sandbox: Sandbox;
  let moto: Moto;
  let gate: Gate;
  let user: GateUser;

  beforeAll(async () => {
    sandbox = await Sandbox.create();
    moto = await Moto.start();
    gate = await Gate.open(moto.url);
    user = gate.user("ann", statements(["explain", "s3", "ports", "spot"]));
    await moto.createBucket("data-bucket");
    await moto.createRole("skypilot-v1");
    await sandbox.startServer();
  });
  afterAll(async () => {
    await sandbox?.dispose();
    await gate?.close();
    moto?.stop();
  });

  async function sky(
    args: readonly string[],
    stdin = "",
  ): Promise<{ exitCode: number | null; out: string; err: string }> {
    const env = sandbox.env({
      AWS_ENDPOINT_URL: gate.url,
      AWS_ACCESS_KEY_ID: "AKIAGATEANN",
      AWS_SECRET_ACCESS_KEY: "secret",
      AWS_EC2_METADATA_DISABLED: "true",
    });
    const { exitCode, stdout, stderr } = await sandbox.sky(args, { env, stdin });
    return { exitCode, out: plainText(stdout), err: plainText(stderr) };
  }

  it("prints the policy with the account of the credentials", async () => {
    const result = await sky(["aws", "policy", "--features", "spot,ports"]);
    expect(result).toMatchObject({ exitCode: 0, err: "" });
    const printed = JSON.parse(result.out) as { Statement: { Sid: string }[] };
    expect(printed.Statement.map((each) => each.Sid).slice(8)).toEqual(["Spot", "Ports"]);
    expect(result.out).toContain(`arn:aws:ec2:*:${ACCOUNT}:instance/*`);
  });

  it("prints what a task needs, for an account that is named", async () => {
    const task = sandbox.write("task.yaml", SPOT_TASK);
    const result = await sky(["aws", "policy", "--from", task, "--account", "999999999999", "--region", "eu-west-1"]);
    const printed = JSON.parse(result.out) as { Statement: { Sid: string }[] };
    expect(printed.Statement.map((each) => each.Sid).slice(8)).toEqual([
      "Spot",
      "Ports",
      "S3Objects",
      "S3Buckets",
      "S3List",
    ]);
    expect(result.out).toContain("arn:aws:ec2:eu-west-1:999999999999:instance/*");
  });

  it("refuses features that do not exist with the names that do", async () => {
    const result = await sky(["aws", "policy", "--features", "teleport"]);
    expect(result.exitCode).toBe(1);
    expect(result.err).toContain("'teleport' is not a feature of the AWS policy.");
    expect(result.err).toContain("Features: launch, spot, ports");
  });

  it("says what is allowed, what is denied, and what to add", async () => {
    const task = sandbox.write("task.yaml", SPOT_TASK);
    const fine = await sky(["check", "aws", "--permissions", "--from", task]);
    expect(fine).toMatchObject({ exitCode: 0, err: "" });
    expect(fine.out).toContain(`AWS permissions of arn:aws:iam::${ACCOUNT}:user/ann in us-east-1`);
    expect(fine.out).toContain("  spot         allowed");
    expect(fine.out).not.toContain("denied");

    user.policy = statements(["explain", "s3", "spot"]);
    const lacking = await sky(["check", "aws", "--permissions", "--from", task]);
    expect(lacking.out).toContain("  ports        denied   ec2:DeleteSecurityGroup, ec2:ModifyInstanceAttribute");
    expect(lacking.out).toContain(
      '  {"Sid":"Ports","Effect":"Allow","Action":["ec2:DeleteSecurityGroup","ec2:ModifyInstanceAttribute"]',
    );
    const json = await sky(["check", "aws", "--permissions", "-o", "json"]);
    const report = JSON.parse(json.out) as { capabilities: { name: string; status: string }[] };
    expect(report.capabilities.find((each) => each.name === "ports")?.status).toBe("denied");
  });

  it("wants to know which cloud, and takes --from and --region for permissions only", async () => {
    expect(await sky(["check", "--permissions"])).toMatchObject({ exitCode: 2 });
    expect(await sky(["check", "aws", "--region", "us-east-1"])).toMatchObject({ exitCode: 2 });
  });

  it("sets an account up after asking, and says what a refusal lacks", async () => {
    user.policy = [{ Effect: "Allow", Action: "*", Resource: "*" }];
    const declined = await sky(["aws", "setup"], "n\n");
    expect(declined.exitCode).toBe(1);
    expect(declined.out).toContain("- create the policy skypilot-user for users");
    const dry = await sky(["aws", "setup", "--dry-run"]);
    expect(dry).toMatchObject({ exitCode: 0 });
    const done = await sky(["aws", "setup", "-y"]);
    expect(done.out).toContain(`Account ${ACCOUNT} is set up.`);
    expect((await sky(["aws", "setup"])).out).toContain("nothing is left to do");

    user.policy = statements([]);
    const refused = await sky(["aws", "setup"]);
    expect(refused.exitCode).toBe(1);
    expect(refused.err).toContain("AWS refused iam:");
    expect(refused.err).toContain("Add to the policy of the user ann:");
  });
});
