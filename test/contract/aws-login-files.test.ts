import { spawn } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createAwsCloud } from "../../src/clouds/aws/index.ts";
import { openCatalogs } from "../support/catalogs.ts";
import type { Cloud, CloudCommandContext } from "../../src/core/ports/cloud.ts";
import { makeAwsHome, type AwsHome } from "../support/aws/aws-home.ts";
import { FakeAws } from "../support/aws/fake-aws.ts";

const python = process.env["SKY_REFERENCE_PYTHON"] ?? "";
const ROLE = "arn:aws:iam::123456789012:role/dev";
const ASK =
  "import botocore.session as b\nprint(b.Session().create_client('sts', region_name='us-east-1').get_caller_identity()['UserId'])";
/** As the AWS CLI has it: sessions of assumed roles are kept on disk. */
const ASK_WITH_CACHE = `import botocore.session as b, botocore.credentials as c, os
s = b.Session()
c.AssumeRoleProvider(load_config=lambda: s.full_config, client_creator=s.create_client, cache={}, profile_name='mfa')
r = s.get_component('credential_provider')
r.get_provider('assume-role').cache = c.JSONFileCache(os.path.expanduser('~/.aws/cli/cache'))
${ASK.split("\n").at(-1)?.replace("b.Session()", "s") ?? ""}`;

let aws: FakeAws;
let home: AwsHome;

beforeAll(async () => {
  aws = await FakeAws.open();
  home = makeAwsHome();
});

afterAll(async () => {
  await aws.close();
  home.remove();
});

function env(profile: string): Record<string, string> {
  return { AWS_ENDPOINT_URL: aws.url, AWS_PROFILE: profile, AWS_EC2_METADATA_DISABLED: "true" };
}

async function login(cloud: Cloud, args: Readonly<Record<string, unknown>>): Promise<void> {
  const context: CloudCommandContext = {
    workspace: "default",
    config: {},
    env: {},
    signal: new AbortController().signal,
    say: () => undefined,
    openUrl: () => undefined,
  };
  expect(await cloud.commands?.["login"]?.run(args, context)).toMatchObject({ done: true });
}

async function botocore(script: string, profile: string): Promise<string> {
  const child = spawn(python, ["-c", script], {
    env: { ...env(profile), HOME: home.path },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (part: string) => (text += part));
  await new Promise((resolve) => child.once("close", resolve));
  return text.trim();
}

describe.skipIf(python === "")("botocore uses our logins (set SKY_REFERENCE_PYTHON to run it)", () => {
  it("reads, and renews, the token of an SSO login", async () => {
    aws.ssoRoles.add("123456789012/Admin");
    home.write(
      ".aws/config",
      `[profile dev]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Admin\n[sso-session corp]\nsso_start_url = https://corp.example/start\nsso_region = us-east-1\nsso_registration_scopes = sso:account:access\n[profile mfa]\nrole_arn = ${ROLE}\nsource_profile = base\nmfa_serial = arn:aws:iam::1:mfa/me\nexternal_id = ä-1\nduration_seconds = 3600\n`,
    );
    await login(createAwsCloud({ home: home.path, env: env("dev"), catalogs: openCatalogs(home.path) }), {
      no_browser: true,
    });
    expect(await botocore(ASK, "dev")).toMatch(/^AROA\w+:ann@example\.com$/u);
    aws.ssoExpiresIn = 60;
    await login(createAwsCloud({ home: home.path, env: env("dev"), catalogs: openCatalogs(home.path) }), {
      no_browser: true,
    });
    aws.ssoExpiresIn = 8 * 3600;
    const renewals = aws.count("POST /token");
    expect(await botocore(ASK, "dev")).toMatch(/^AROA/u);
    expect(aws.count("POST /token")).toBe(renewals + 1);
  }, 60_000);

  it("finds the session of a role with MFA under the same name", async () => {
    aws.principals.set("AKIABASE", {
      userId: "AIDABASE",
      account: "123456789012",
      arn: "arn:aws:iam::123456789012:user/b",
    });
    aws.roles.set(ROLE, { mfaCode: "123456" });
    home.write(".aws/credentials", "[base]\naws_access_key_id = AKIABASE\naws_secret_access_key = s\n");
    await login(createAwsCloud({ home: home.path, env: env("mfa"), catalogs: openCatalogs(home.path) }), {
      mfa_code: "123456",
    });
    expect(aws.count("AssumeRole")).toBe(1);
    expect(await botocore(ASK_WITH_CACHE, "mfa")).toMatch(/^AROA\w+:skypilot$/u);
    expect(aws.count("AssumeRole")).toBe(1);
  }, 60_000);
});
