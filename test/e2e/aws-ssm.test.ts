/** Clusters whose nodes nothing reaches but Session Manager: no public address, no open port, and on the network no way in. */
import { createHash, randomBytes } from "node:crypto";
import { DescribeInstancesCommand, DescribeSecurityGroupsCommand, type Instance } from "@aws-sdk/client-ec2";
import { DetachRolePolicyCommand, IAMClient } from "@aws-sdk/client-iam";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { AwsUser } from "../support/aws/aws-user.ts";
import { createSsmFleet, PRIVATE_VPC, type SsmFleet } from "../support/aws/ssm-fleet.ts";
import type { RunResult } from "./support/run-program.ts";
import { waitFor } from "./support/wait-for.ts";

const CONFIG = `aws:\n  vpc_names: ${PRIVATE_VPC}\n  use_internal_ips: true\n  use_ssm: true\n`;
const POLICY = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore";

describeWithFleet("a cluster without a public address or an open port", () => {
  let ssm: SsmFleet;
  let user: AwsUser;

  beforeAll(async () => {
    ssm = await createSsmFleet();
    user = await AwsUser.create(ssm.aws, CONFIG, ssm.variables);
    await ssm.aws.fleet.world.setHome(user.sandbox.home);
  }, 120_000);
  afterAll(async () => {
    await user?.dispose();
    await ssm?.dispose();
  });
  afterEach(() => {
    ssm.sessions.calm();
    ssm.withoutAgent.all = false;
    ssm.aws.proxy.faultOf = () => undefined;
    expect(ssm.aws.errors).toEqual([]);
    expect(ssm.sessions.complaints).toEqual([]);
  });

  async function instances(): Promise<readonly Instance[]> {
    const answer = await ssm.aws.moto.ec2().send(new DescribeInstancesCommand({}));
    return (answer.Reservations ?? []).flatMap((each) => each.Instances ?? []);
  }

  /** Runs a program as the user of the server's machine. */
  function run(argv: readonly string[]): Promise<RunResult> {
    return user.sandbox.start(argv, { env: user.sandbox.env(), timeoutMs: 120_000 }).result;
  }

  it("launches, runs and stops through Session Manager", async () => {
    user.sandbox.write(
      "task.yaml",
      "resources:\n  infra: aws/us-east-1\n  cpus: 2\nnum_nodes: 2\nworkdir: .\nrun: echo node $SKYPILOT_NODE_RANK of $SKYPILOT_NUM_NODES\n",
    );
    const launched = await user.sky("launch", "-y", "-c", "mine", "task.yaml");
    expect(launched).toContain("node 0 of 2");
    expect(launched).toContain("node 1 of 2");

    const nodes = await instances();
    expect(nodes.map((each) => each.PublicIpAddress)).toEqual([undefined, undefined]);
    const groups = (await ssm.aws.moto.ec2().send(new DescribeSecurityGroupsCommand({}))).SecurityGroups ?? [];
    const rules = groups
      .filter((group) => group.GroupName?.startsWith("sky-sg-"))
      .flatMap((each) => each.IpPermissions);
    expect(rules.flatMap((rule) => [...(rule?.IpRanges ?? []), ...(rule?.Ipv6Ranges ?? [])])).toEqual([]);
    const direct = await run(["bash", "-c", `exec 3<>/dev/tcp/${nodes[0]?.PrivateIpAddress}/22`]);
    expect(direct.exitCode).not.toBe(0);
    expect(ssm.sessions.sessions[0]).toMatchObject({
      document: "AWS-StartSSHSession",
      parameters: { portNumber: ["22"] },
      clientVersion: "1.2.0.0",
    });

    expect(await user.sky("exec", "mine", "echo again")).toContain("again");
    expect(await user.sky("logs", "mine", "1", "--no-follow")).toContain("node 1 of 2");
  }, 400_000);

  it("lets users in by the cluster's names", async () => {
    const stanzas = readFileSync(join(user.sandbox.home, ".sky/generated/ssh/mine"), "utf8");
    expect(stanzas.match(/ProxyCommand .* aws ssm-proxy --cluster mine-\S+ --region us-east-1 %h$/gm)).toHaveLength(2);
    const names = await Promise.all(["mine", "mine-worker1"].map((name) => run(["ssh", name, "hostname"])));
    const ids = (await instances()).map((each) => `${each.InstanceId}\n`);
    expect(names.map((each) => each.stdout).toSorted(), names[0]?.stderr).toEqual(ids.toSorted());
    expect((await run(["ssh", "mine", "exit 3"])).exitCode).toBe(3);
    await waitFor("sessions of logins to be over", () => {
      const open = ssm.sessions.sessions.filter((each) => each.state === "connected");
      // One for each node, which the server keeps.
      return open.length <= 2;
    });
  }, 60_000);

  it.each([
    ["loss", { loss: 0.03 }],
    ["duplication", { duplication: 0.3 }],
    ["reordering", { reordering: 0.3 }],
    ["pauses", { pauseEveryBytes: 1_000_000, pauseMs: 1500 }],
    ["broken connections", { cutEveryBytes: 2_000_000 }],
  ])(
    "carries megabytes intact under %s",
    async (name, weather) => {
      const bytes = randomBytes(3_000_000);
      const hash = createHash("sha256").update(bytes).digest("hex");
      writeFileSync(join(user.sandbox.work, "big"), bytes);
      Object.assign(ssm.sessions.weather, weather);
      const sent = await run(["scp", "-q", join(user.sandbox.work, "big"), "mine:big"]);
      expect(sent.exitCode, sent.stderr).toBe(0);
      const back = await run([
        "bash",
        "-c",
        "ssh mine 'sha256sum <big; cat big' | (read -r line; echo $line; sha256sum)",
      ]);
      expect(back.stdout, back.stderr).toBe(`${hash} -\n${hash}  -\n`);
      const used = ssm.sessions.sessions.slice(-2);
      if (name === "broken connections") expect(used.map((each) => each.resumes > 0)).toEqual([true, true]);
      if (name === "pauses") expect(used.some((each) => each.pauses > 0)).toBe(true);
      expect(used.map((each) => each.ignoredPauses)).toEqual([0, 0]);
    },
    120_000,
  );

  it("keeps no token or key where others could see it", async () => {
    const login = run(["ssh", "mine", "sleep 3"]);
    const search = async (word: string, ...places: readonly string[]): Promise<string> => {
      const script = `exec grep -la -e "$0" ${places.join(" ")} 2>/dev/null`;
      return (await run(["sh", "-c", script, word])).stdout.replaceAll(/^.*\/self\/.*\n/gmu, "");
    };
    const processes = ["/proc/[0-9]*/cmdline", "/proc/[0-9]*/environ"];
    await waitFor("the proxy", async () => (await search("ssm-proxy", ...processes)) !== "");
    const stated = ["~/.sky/ts/state.sqlite*", "~/.sky/ts/requests/*", "~/.sky/ts/server.log"];
    // Every token of the service begins like this.
    expect(await search("SESSIO[N]TOKEN", ...processes, ...stated)).toBe("");
    expect(await search("cloud_command", ...stated)).not.toBe("");
    await login;
  }, 60_000);

  it("says which permission is missing", async () => {
    await run(["ssh", "-O", "exit", "mine"]);
    ssm.aws.proxy.faultOf = ({ action }) =>
      action === "ssm:StartSession"
        ? {
            kind: "refuse",
            status: 400,
            code: "AccessDeniedException",
            message:
              "User: arn:aws:iam::123456789012:user/ann is not authorized to perform: ssm:StartSession on resource: arn:aws:ec2:us-east-1:123456789012:instance/i-1 because no identity-based policy allows the ssm:StartSession action",
          }
        : undefined;
    const { exitCode, stderr } = await run(["ssh", "mine", "true"]);
    expect(exitCode).toBe(255);
    expect(stderr).toContain("AWS refused ssm:StartSession");
    expect(stderr).toContain('"Action":"ssm:StartSession"');
  }, 60_000);

  it("goes down", async () => {
    await user.sky("down", "-y", "mine");
    expect((await instances()).map((each) => each.State?.Name)).toEqual(["terminated", "terminated"]);
  }, 60_000);

  it("says before anything is launched that the role lacks the policy", async () => {
    const iam = new IAMClient({
      region: "us-east-1",
      endpoint: ssm.aws.moto.url,
      credentials: { accessKeyId: "test", secretAccessKey: "test" },
    });
    await iam.send(new DetachRolePolicyCommand({ RoleName: "skypilot-v1", PolicyArn: POLICY }));
    const denied: typeof ssm.aws.proxy.faultOf = ({ action }) =>
      action === "iam:AttachRolePolicy"
        ? {
            kind: "refuse",
            status: 403,
            code: "AccessDenied",
            message:
              "User: arn:aws:iam::123456789012:user/ann is not authorized to perform: iam:AttachRolePolicy on resource: role skypilot-v1 because no identity-based policy allows the iam:AttachRolePolicy action",
          }
        : undefined;
    ssm.aws.proxy.faultOf = denied;
    // What the server knows of the role is five minutes old at most.
    await user.sky("api", "stop");
    const before = (await instances()).length;
    const text = await user.fails("launch", "-y", "-c", "other", "--infra", "aws/us-east-1", "--cpus", "2", "echo hi");
    expect(text).toContain("AmazonSSMManagedInstanceCore");
    expect(text).toContain("sky aws setup");
    expect(await instances()).toHaveLength(before);
    // With the right to, the launch attaches it.
    ssm.aws.proxy.faultOf = () => undefined;
    await user.sky("launch", "-y", "-c", "other", "--infra", "aws/us-east-1", "--cpus", "2", "echo hi");
    await user.sky("down", "-y", "other");
  }, 200_000);

  it("refuses AWS's own programs where they are not installed", async () => {
    const options = ["--config", "aws.ssm_mode=plugin", "--infra", "aws/us-east-1", "--cpus", "2"];
    const text = await user.fails("launch", "-y", "-c", "plugin", ...options, "echo hi");
    expect(text).toMatch(/aws\.ssm_mode is plugin, but the machine of the API server has no .*session-manager-plugin/);
  }, 60_000);
});
