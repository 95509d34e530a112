import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { SourceKind } from "../../src/clouds/aws/auth/source.ts";
import { buildPolicy } from "../../src/clouds/aws/policy/document.ts";
import { SkyClient } from "../../src/client/sky-client.ts";
import { findMoto } from "../support/aws/moto.ts";
import { ACCOUNT, AwsWorld, blockOf, SSO_ROLE, SSO_SESSION, type Env } from "./support/aws-world.ts";
import { findReference } from "./support/reference.ts";
import { OfficialClient } from "./support/sandbox.ts";
import { OfficialShell } from "./support/official-shell.ts";
import { waysIn, type WayIn } from "./support/ways-in.ts";
import { waysToFail } from "./support/ways-to-fail.ts";

const OTHER_CLOUDS =
  " It will work if you use AWS only, but will cause problems if you want to use multiple clouds. To set up static credentials, try: aws configure";

/** What the official client sends of its variables. */
const FORWARDED = new Set([
  "AWS_PROFILE",
  "AWS_DEFAULT_PROFILE",
  "AWS_ACCESS_KEY_ID",
  "AWS_SECRET_ACCESS_KEY",
  "AWS_SESSION_TOKEN",
]);
const ALL_KINDS: Readonly<Record<SourceKind, true>> = {
  env: true,
  "shared-credentials-file": true,
  "config-file": true,
  sso: true,
  login: true,
  "assume-role": true,
  "assume-role-with-web-identity": true,
  "custom-process": true,
  "container-role": true,
  "iam-role": true,
};

function expectedBlock(way: WayIn, options: { readonly isVerbose: boolean }): string {
  const details = [
    `    Credentials: ${way.kind}, ${way.ends === undefined ? "do not expire" : `expire in ${way.ends}`}`,
    `    Source: ${way.source}`,
    `    Profile: ${way.profile ?? "(none)"}`,
    `    Region: ${way.region ?? "us-east-1 (none is set)"}`,
    "    Machine: credentials of this machine (HOST)",
    `    Permissions in ${way.region ?? "us-east-1"}:`,
  ];
  return [
    "  AWS: enabled [compute, storage]",
    `    Activated account: ${way.account} [account=${ACCOUNT}]`,
    ...(options.isVerbose ? details : []),
    ...(way.hint === undefined ? [] : [`    Hint [compute, storage]: ${way.hint} is set.${way.other ?? OTHER_CLOUDS}`]),
  ].join("\n");
}

/** Without the minutes that the tests have taken since: what a machine gives out is kept until it ends. */
function roundTimes(text: string): string {
  return text
    .replace(/expire in (?:[3-5]\dm|1h0m)$/mu, "expire in 1 h")
    .replace(/expire in 1[0-4]m$/mu, "expire in 15 min");
}

describe.skipIf(findMoto() === undefined)("sky check aws", () => {
  const reference = findReference();
  let world: AwsWorld;
  let official: OfficialShell | undefined;

  beforeAll(async () => {
    world = await AwsWorld.create();
    await world.sandbox.startServer(world.env);
    if (reference === undefined) return;
    official = new OfficialShell(new OfficialClient(world.sandbox, reference, { remote: false }), reference);
  });
  afterAll(async () => {
    official?.close();
    await world?.dispose();
  });
  beforeEach(() => world.reset());

  /** The block of the verbose check without the table of permissions, and without the row of mounts (mount-ssh.test.ts). */
  async function verboseBlock(env: Env): Promise<string> {
    const lines = (await world.check(env, "-v")).split("\n");
    expect(
      lines.filter((line) => line.startsWith("    Mounted buckets: on EC2 by the nodes' role, elsewhere ")),
    ).toHaveLength(1);
    return roundTimes(lines.filter((line) => !/^ {6}|^ {4}What is missing|^ {4}Mounted/u.test(line)).join("\n"));
  }

  async function officialBlock(env: Env): Promise<string> {
    const { text = "", code } = (await official?.sky(["check", "aws"], env)) ?? {};
    expect(code, text).toBe(0);
    return blockOf(world.plain(text));
  }

  // Before any way in: what a machine gives out is kept until it ends.
  it.each(waysToFail)("says what is wrong, and how to repair it: $name", async (way) => {
    const env = await way.prepare(world);
    expect(await world.check(env)).toBe(`  AWS: disabled\n    Reason [compute, storage]: ${way.reason}`);
    if (way.repair === undefined) return;
    const repaired = await way.repair(world, env);
    expect(await world.check(repaired)).toMatch(/^ {2}AWS: enabled \[compute, storage\]\n {4}Activated account: /u);
  });

  it("renews an SSO session once for 50 that ask at its end", async () => {
    const profile = `[profile many]\nsso_session = corp\n${SSO_ROLE}${SSO_SESSION}`;
    world.write(".aws/config", profile);
    const renewable = { refreshToken: "r", clientId: "client", clientSecret: "s" };
    const times = { expiresAt: "2020-01-01T00:00:00Z", registrationExpiresAt: "2099-01-01T00:00:00Z" };
    world.writeSsoToken("corp", { accessToken: "at-its-end", ...renewable, ...times });
    await using client = new SkyClient({
      env: world.sandbox.env({ ...world.env, AWS_PROFILE: "many" }),
      // Not by the config file, which the official client's shell would remember.
      config: { value: { aws: { capabilities: ["storage"] } }, paths: [null, null] },
    });
    const calls = (): readonly string[] => world.signIn.calls.filter((call) => /token|federation/u.test(call));
    const before = calls().length;
    const answers = await Promise.all(Array.from({ length: 50 }, () => client.check({ infra: ["aws"] })));
    expect(answers).toEqual(Array.from({ length: 50 }, () => ({ default: { AWS: ["storage"] } })));
    expect(calls().slice(before)).toEqual(["POST /token", "GET /federation/credentials"]);
  });

  it.each(waysIn)("works with $name", async (way) => {
    const env = await way.prepare(world);
    expect(await verboseBlock(env)).toBe(expectedBlock(way, { isVerbose: true }));
    // The official client sends only the variables that say who the caller is.
    if (official === undefined || way.isOurs === true || Object.keys(env).some((name) => !FORWARDED.has(name))) return;
    expect(await officialBlock(env)).toBe(expectedBlock(way, { isVerbose: false }));
  });

  it("covers every kind of credentials", () => {
    const kinds = new Set(waysIn.map(({ kind }) => kind));
    expect([...kinds].toSorted()).toEqual(Object.keys(ALL_KINDS).toSorted());
  });

  it.runIf(reference !== undefined)(
    "uses a server's own credentials, for the official client as for ours",
    async () => {
      for (const way of waysIn.filter(({ isOfMachine }) => isOfMachine)) {
        world.reset();
        const env = await way.prepare(world);
        await world.sandbox.killServer();
        await world.sandbox.startServer({ ...world.env, ...env });
        const expected = expectedBlock(way, { isVerbose: false });
        expect([await world.check(), await officialBlock({})], way.name).toEqual([expected, expected]);
      }
    },
  );

  it("uses those of a server on another machine, where AWS_PROFILE has no effect, and says so", async () => {
    world.write(".aws/credentials", world.keysOf("default"));
    const { SKYPILOT_API_SERVER_LOCAL_PORT: _port, ...env } = world.sandbox.env({
      ...world.env,
      HOME: join(world.sandbox.root, "other-home"),
      SKYPILOT_API_SERVER_ENDPOINT: world.sandbox.url,
      AWS_PROFILE: "mine",
    });
    const result = await world.sandbox.sky(["check", "aws", "-v"], { env });
    expect(result.stderr).toBe(
      `AWS_PROFILE=mine has no effect: the API server at ${world.sandbox.url} uses its own AWS credentials.\n`,
    );
    expect(blockOf(world.plain(result.stdout))).toContain("Machine: credentials of the API server (HOST)");
  });

  it("shows with -v what the credentials may do", async () => {
    const { Statement } = buildPolicy({
      tier: "user",
      features: ["ports"],
      account: ACCOUNT,
      regions: [],
      isTagScoped: false,
    });
    const actions = Statement.flatMap(({ Action }) => Action);
    await world.allow("ann", actions);
    const block = await world.check(world.annEnv(), "-v");
    expect(block.slice(block.indexOf("    Permissions"), block.indexOf("    Hint"))).toMatchInlineSnapshot(`
      "    Permissions in us-east-1:
            launch                 unknown  iam:PassRole
            spot                   unknown  iam:PassRole
            stop, start            allowed
            terminate              allowed
            ports                  allowed
            role creation          unknown  iam:CreateRole, iam:AttachRolePolicy, iam:CreateInstanceProfile, iam:AddRoleToInstanceProfile
            custom VPC             allowed
            SSM                    unknown  ssm:StartSession, ssmmessages:OpenDataChannel
            clone disk             denied   ec2:CreateImage, ec2:CopyImage, ec2:DeregisterImage
            S3 read                unknown  s3:GetObject, s3:ListBucket, s3:GetBucketLocation
                                   (without s3:ListAllMyBuckets, \`sky check\` cannot list buckets; those that tasks name work)
            S3 write               unknown  s3:PutObject, s3:DeleteObject, s3:ListBucket, s3:GetBucketLocation
            bucket create, delete  unknown  s3:CreateBucket, s3:DeleteBucket
            managed jobs           unknown  iam:PassRole
          What is missing, and what to add: sky check aws --permissions
      "
    `);
  });
});
