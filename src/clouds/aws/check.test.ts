import { createHash, generateKeyPairSync } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CheckResult, Cloud, CloudContext } from "../../core/ports/cloud.ts";
import { makeAwsHome, type AwsHome } from "../../../test/support/aws/aws-home.ts";
import { FakeAws } from "../../../test/support/aws/fake-aws.ts";
import { openCatalogs } from "../../../test/support/catalogs.ts";
import { createAwsCloud } from "./index.ts";

const ROLE = "arn:aws:iam::123456789012:role/dev";
const KEYS = "aws_access_key_id = AKIAFILE\naws_secret_access_key = s\n";
const SSO_SESSION = "[sso-session corp]\nsso_start_url = https://corp.example/start\nsso_region = us-east-1\n";
const SSO_PROFILE = "sso_account_id = 123456789012\nsso_role_name = Admin\n";

let aws: FakeAws;
let home: AwsHome;

beforeEach(async () => {
  aws = await FakeAws.open();
  home = makeAwsHome();
  aws.principals.set("AKIAFILE", {
    userId: "AIDAFILE",
    account: "123456789012",
    arn: "arn:aws:iam::123456789012:user/file",
  });
});

afterEach(async () => {
  await aws.close();
  home.remove();
});

function serverEnv(env: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { AWS_ENDPOINT_URL: aws.url, AWS_EC2_METADATA_SERVICE_ENDPOINT: aws.url, PATH: "/usr/bin:/bin", ...env };
}

function open(env: Readonly<Record<string, string>> = {}): Cloud {
  return createAwsCloud({ home: home.path, env: serverEnv(env), catalogs: openCatalogs(home.path) });
}

function context(parts: Partial<CloudContext> = {}): CloudContext {
  return { workspace: "default", config: {}, env: {}, signal: new AbortController().signal, ...parts };
}

/** The account of a check where all is on; the reasons where not. */
function verdict(result: CheckResult): string | undefined {
  return result.enabled.length === 2 ? result.account : result.reasons.map(({ text }) => text).join("\n---\n");
}

async function check(env: Readonly<Record<string, string>> = {}): Promise<string | undefined> {
  return plain(verdict(await open(env).check(context())));
}

/** Without what differs from run to run. */
function plain(text: string | undefined): string | undefined {
  return text?.replaceAll(home.path, "~").replaceAll(aws.url.replace("http://", ""), "AWS");
}

function kindOf(result: CheckResult): string | undefined {
  return /^Credentials: ([\w-]+)/u.exec(result.details[0] ?? "")?.[1];
}

async function kind(env: Readonly<Record<string, string>> = {}): Promise<string> {
  const result = await open(env).check(context());
  return `${kindOf(result) ?? "none"} ${plain(verdict(result)) ?? ""}`;
}

function loginFile(leftMs: number): void {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const keys = aws.issue({ userId: "AIDALOGIN", account: "123456789012", arn: "arn:aws:iam::123456789012:user/login" });
  const name = createHash("sha256").update("arn:aws:iam::123456789012:user/login").digest("hex");
  home.write(".aws/config", "[default]\nlogin_session = arn:aws:iam::123456789012:user/login\nregion = us-east-1\n");
  home.write(
    `.aws/login/cache/${name}.json`,
    JSON.stringify({
      accessToken: {
        accessKeyId: keys.id,
        secretAccessKey: keys.secret,
        sessionToken: keys.token,
        accountId: "123456789012",
        expiresAt: new Date(Date.now() + leftMs).toISOString(),
      },
      tokenType: "aws_sigv4",
      clientId: "arn:aws:signin:::devtools/same-device",
      refreshToken: "r",
      dpopKey: privateKey.export({ type: "sec1", format: "pem" }),
    }),
  );
}

function ssoFile(key: string, token: Readonly<Record<string, unknown>>): string {
  const path = `.aws/sso/cache/${createHash("sha1").update(key).digest("hex")}.json`;
  return home.write(path, JSON.stringify({ startUrl: "https://corp.example/start", region: "us-east-1", ...token }));
}

function inHours(hours: number): string {
  return new Date(Date.now() + hours * 3_600_000).toISOString();
}

describe("credentials of every kind", () => {
  it("finds keys in the environment, with a session token as aws-vault sets it", async () => {
    const keys = aws.issue({ userId: "AIDAENV", account: "1", arn: "arn:aws:iam::1:user/env" });
    const env = { AWS_ACCESS_KEY_ID: keys.id, AWS_SECRET_ACCESS_KEY: keys.secret, AWS_SESSION_TOKEN: keys.token };
    expect(await kind(env)).toBe("env AIDAENV [account=1]");
  });

  it("finds the shared credentials file and the config file", async () => {
    home.write(".aws/credentials", `[default]\n${KEYS}`);
    expect(await kind()).toBe("shared-credentials-file AIDAFILE [account=123456789012]");
    home.write(".aws/config", `[profile other]\n${KEYS}`);
    expect(await kind({ AWS_PROFILE: "other" })).toBe("config-file AIDAFILE [account=123456789012]");
  });

  it("uses an SSO session, and renews its token when the end is near", async () => {
    aws.ssoRoles.add("123456789012/Admin");
    aws.ssoToken = "old";
    home.write(".aws/config", `[profile dev]\nsso_session = corp\n${SSO_PROFILE}\n${SSO_SESSION}`);
    const file = ssoFile("corp", {
      accessToken: "old",
      expiresAt: inHours(0.01),
      refreshToken: "r",
      clientId: "c",
      clientSecret: "s",
      registrationExpiresAt: inHours(100),
    });
    expect(await kind({ AWS_PROFILE: "dev" })).toMatch(/^sso AROA\w+:ann@example.com \[account=123456789012\]$/u);
    const written = JSON.parse(readFileSync(file, "utf8")) as Record<string, string>;
    expect(written["accessToken"]).toBe(aws.ssoToken);
    expect(Object.keys(written).toSorted()).toEqual([
      "accessToken",
      "clientId",
      "clientSecret",
      "expiresAt",
      "refreshToken",
      "region",
      "registrationExpiresAt",
      "startUrl",
    ]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it("uses a legacy SSO login", async () => {
    aws.ssoRoles.add("123456789012/Admin");
    aws.ssoToken = "legacy";
    home.write(
      ".aws/config",
      `[default]\n${SSO_PROFILE}sso_start_url = https://corp.example/start\nsso_region = us-east-1\n`,
    );
    ssoFile("https://corp.example/start", { accessToken: "legacy", expiresAt: inHours(1).replace(/\.\d+Z$/u, "UTC") });
    expect(await kind()).toMatch(/^sso AROA/u);
  });

  it("uses a session of `aws login` and renews it", async () => {
    loginFile(3_600_000);
    expect(await kind()).toBe("login AIDALOGIN [account=123456789012]");
    loginFile(1000);
    expect(await kind()).toBe("login AIDALOGIN [account=123456789012]");
    expect(aws.count("POST /v1/token")).toBe(1);
  });

  it("assumes a chain of roles with an external id", async () => {
    aws.roles.set(ROLE, { externalId: "e-1" }).set(`${ROLE}2`, {});
    home.write(".aws/credentials", `[base]\n${KEYS}`);
    home.write(
      ".aws/config",
      `[profile one]\nrole_arn = ${ROLE}\nsource_profile = base\nexternal_id = e-1\n[profile two]\nrole_arn = ${ROLE}2\nsource_profile = one\n`,
    );
    expect(await kind({ AWS_PROFILE: "two" })).toMatch(/^assume-role AROA\w+:skypilot \[account=123456789012\]$/u);
    expect(aws.count("AssumeRole")).toBe(2);
  });

  it("runs a credential_process", async () => {
    const keys = aws.issue({ userId: "AIDAPROC", account: "1", arn: "arn:aws:iam::1:user/p" });
    const json = JSON.stringify({
      Version: 1,
      AccessKeyId: keys.id,
      SecretAccessKey: keys.secret,
      SessionToken: keys.token,
      Expiration: keys.expires,
    });
    home.write("keys.json", json);
    home.write(".aws/config", `[default]\ncredential_process = cat "${join(home.path, "keys.json")}"\n`);
    expect(await kind()).toBe("custom-process AIDAPROC [account=1]");
  });

  it("exchanges a web identity", async () => {
    const file = home.write("token", "good-token\n");
    const env = { AWS_WEB_IDENTITY_TOKEN_FILE: file, AWS_ROLE_ARN: ROLE, AWS_ROLE_SESSION_NAME: "pod-1" };
    expect(await kind(env)).toMatch(/^assume-role-with-web-identity AROA\w+:pod-1 \[account=123456789012\]$/u);
  });

  it("asks the container endpoint, with the token of EKS pod identity", async () => {
    aws.containerToken = "pod-token";
    const file = home.write("pod-token", "pod-token");
    const env = {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${aws.url}/container`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file,
    };
    expect(await kind(env)).toMatch(/^container-role AROA\w+:pod/u);
  });

  it("asks instance metadata, by IMDSv2", async () => {
    aws.instanceRole = "node";
    expect(await kind()).toMatch(/^iam-role AROA\w+:i-0abc/u);
    expect(aws.calls[0]).toBe("PUT /latest/api/token");
  });
});

describe("verbose check", () => {
  it("shows kind, source, profile, region, machine and time left", async () => {
    aws.roles.set(ROLE, {});
    home.write(".aws/credentials", `[base]\n${KEYS}`);
    home.write(".aws/config", `[profile dev]\nrole_arn = ${ROLE}\nsource_profile = base\nregion = eu-west-1\n`);
    const { details, hints, account } = await open({ AWS_PROFILE: "dev" }).check(context({ isLocalClient: true }));
    const text = [`Activated account: ${account ?? ""}`, ...details].join("\n");
    expect(
      plain(text)
        ?.replaceAll(/\(\S+\)$/gmu, "(host)")
        .replace(/AROA\w+/u, "AROAXXXX"),
    ).toMatchInlineSnapshot(`
      "Activated account: AROAXXXX:skypilot [account=123456789012]
      Credentials: assume-role, expire in 59m
      Source: role arn:aws:iam::123456789012:role/dev (profile 'dev'), assumed with profile 'base' in ~/.aws/credentials
      Profile: dev
      Region: eu-west-1
      Machine: credentials of this machine (host)
      Mounted buckets: on EC2 by the nodes' role, elsewhere by arn:aws:iam::123456789012:role/dev, cut down to the bucket"
    `);
    expect(hints?.[0]?.text).toMatch(/^AWS assume-role is set\. It will work if you use AWS only/u);
  });
});

describe("identity", () => {
  it("is the role and the account, whatever the session is called", async () => {
    const keys = aws.issue({
      userId: "AROAX:botocore-session-1",
      account: "1",
      arn: "arn:aws:sts::1:assumed-role/r/s",
    });
    const cloud = open({ AWS_ACCESS_KEY_ID: keys.id, AWS_SECRET_ACCESS_KEY: "s", AWS_SESSION_TOKEN: keys.token });
    expect(await cloud.identity(context())).toEqual(["AROAX", "1"]);
  });

  it("follows the workspace's profile and the client's variables", async () => {
    home.write(
      ".aws/credentials",
      `[default]\n${KEYS}[team]\naws_access_key_id = AKIATEAM\naws_secret_access_key = s\n`,
    );
    aws.principals.set("AKIATEAM", { userId: "AIDATEAM", account: "2", arn: "arn:aws:iam::2:user/t" });
    const config = { workspaces: { team: { aws: { profile: "team" } } } };
    const cloud = open();
    expect(await cloud.identity(context())).toEqual(["AIDAFILE", "123456789012"]);
    expect(await cloud.identity(context({ config, workspace: "team" }))).toEqual(["AIDATEAM", "2"]);
    expect(await cloud.identity(context({ env: { AWS_PROFILE: "team" } }))).toEqual(["AIDATEAM", "2"]);
  });

  it("does not let a client's profile meet the server's keys", async () => {
    home.write(".aws/credentials", `[team]\naws_access_key_id = AKIATEAM\naws_secret_access_key = s\n`);
    aws.principals.set("AKIATEAM", { userId: "AIDATEAM", account: "2", arn: "arn:aws:iam::2:user/t" });
    const cloud = open({ AWS_ACCESS_KEY_ID: "AKIAFILE", AWS_SECRET_ACCESS_KEY: "s" });
    expect(await cloud.identity(context({ env: { AWS_PROFILE: "team" } }))).toEqual(["AIDATEAM", "2"]);
  });

  it("notices an edited file at the next call", async () => {
    const cloud = open();
    await expect(cloud.identity(context())).rejects.toThrow("AWS credentials are not set.");
    home.write(".aws/credentials", `[default]\n${KEYS}`);
    expect(await cloud.identity(context())).toEqual(["AIDAFILE", "123456789012"]);
  });
});

describe("every failure has its reason and its repair", () => {
  it("no credentials", async () => {
    expect(await check()).toMatchInlineSnapshot(`
      "AWS credentials are not set. Run the following commands:
            $ aws configure
            $ aws configure list  # Ensure that this shows identity is set.
          For more info: https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-quickstart.html
          Details: looked at the environment (AWS_ACCESS_KEY_ID is not set); profile 'default' in ~/.aws/config and ~/.aws/credentials (no credentials); the container endpoint (none); instance metadata (it is switched off for this instance)."
    `);
  });

  it("a profile under another name only", async () => {
    home.write(".aws/credentials", `[work]\n${KEYS}`);
    home.write(".aws/config", `[profile play]\n${KEYS}`);
    expect(await check()).toMatchInlineSnapshot(`
      "AWS credentials are not set. profiles found: play, work; none is named \`default\` and AWS_PROFILE is not set. Run the following commands:
            $ export AWS_PROFILE=play
            $ sky check aws
          For more info: https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html"
    `);
  });

  it("an unknown profile", async () => {
    home.write(".aws/config", `[team]\n${KEYS}[profile dev]\n${KEYS}`);
    expect(await check({ AWS_PROFILE: "team" })).toMatchInlineSnapshot(`
      "The AWS profile 'team' (named by AWS_PROFILE) does not exist; profiles found: dev. ~/.aws/config has [team]; there it must be [profile team]. Run the following commands:
            $ aws configure --profile team
            $ export AWS_PROFILE=<profile>
          For more info: https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html"
    `);
  });

  it("a file that cannot be read", async () => {
    home.write(".aws/config", "[default]\nregion = x\nthis is no option\n");
    expect(await check()).toMatchInlineSnapshot(
      `"~/.aws/config cannot be read: line 3: the line is neither \`name = value\` nor a [section]. Correct the file, then run: sky check aws"`,
    );
  });

  it("half a key", async () => {
    expect(await check({ AWS_ACCESS_KEY_ID: "AKIAFILE" })).toMatchInlineSnapshot(`
      "AWS credentials in the environment are incomplete: AWS_SECRET_ACCESS_KEY is missing. Run the following commands:
            $ aws configure
            $ aws configure list  # Ensure that this shows identity is set.
          For more info: https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-quickstart.html"
    `);
  });

  it("roles that go round in a circle", async () => {
    home.write(
      ".aws/config",
      `[default]\nrole_arn = ${ROLE}\nsource_profile = b\n[profile b]\nrole_arn = ${ROLE}\nsource_profile = default\n`,
    );
    expect(await check()).toMatchInlineSnapshot(
      `"Invalid AWS configuration. The source_profile settings go round in a circle: default → b → default. Correct it in ~/.aws/config, then run: sky check aws"`,
    );
  });

  it("SSO that nobody has logged in to", async () => {
    home.write(".aws/config", `[profile dev]\nsso_session = corp\n${SSO_PROFILE}\n${SSO_SESSION}`);
    expect(await check({ AWS_PROFILE: "dev" })).toMatchInlineSnapshot(`
      "AWS profile 'dev' uses IAM Identity Center (corp), and nobody has logged in yet. Run the following commands:
            $ sky aws login --profile dev
            $ aws sso login --profile dev  # The same with AWS CLI v2.
          For more info: https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-sso.html"
    `);
  });

  it("an expired SSO login that cannot be renewed", async () => {
    aws.canRefresh = false;
    home.write(".aws/config", `[profile dev]\nsso_session = corp\n${SSO_PROFILE}\n${SSO_SESSION}`);
    ssoFile("corp", {
      accessToken: "old",
      expiresAt: inHours(-1),
      refreshToken: "r",
      clientId: "c",
      clientSecret: "s",
      registrationExpiresAt: inHours(100),
    });
    expect(await check({ AWS_PROFILE: "dev" })).toMatchInlineSnapshot(`
      "AWS access token is expired (SSO profile 'dev'). Run the following commands:
            $ sky aws login --profile dev
            $ aws sso login --profile dev  # The same with AWS CLI v2.
          For more info: https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-sso.html"
    `);
    expect(aws.count("POST /token")).toBe(1);
  });

  it("an SSO role that the user does not have", async () => {
    aws.ssoToken = "t";
    home.write(".aws/config", `[profile dev]\nsso_session = corp\n${SSO_PROFILE}\n${SSO_SESSION}`);
    ssoFile("corp", { accessToken: "t", expiresAt: inHours(1) });
    expect(await check({ AWS_PROFILE: "dev" })).toMatchInlineSnapshot(`
      "IAM Identity Center refuses the role Admin in account 123456789012 (profile 'dev'): No access. Run the following command:
            $ sky aws configure-sso --profile dev
          For more info: https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-sso.html
          It lists the accounts and roles that you may use."
    `);
  });

  it("a session of `aws login` that is missing or over", async () => {
    home.write(".aws/config", "[default]\nlogin_session = me\n");
    expect(await check()).toMatchInlineSnapshot(`
      "AWS profile 'default' uses \`aws login\`, and nobody has logged in yet. Run the following command:
            $ aws login
          For more info: https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-sign-in.html"
    `);
    loginFile(1000);
    aws.loginRefusal = "TOKEN_EXPIRED";
    expect(await check()).toMatchInlineSnapshot(`
      "The \`aws login\` session of profile 'default' is over: the session has expired. Run the following command:
            $ aws login
          For more info: https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-sign-in.html"
    `);
  });

  it("expired session keys in the environment and in a file", async () => {
    aws.principals.set("ASIAOLD", { userId: "u", account: "1", arn: "a", problem: "expired" });
    const env = { AWS_ACCESS_KEY_ID: "ASIAOLD", AWS_SECRET_ACCESS_KEY: "s", AWS_SESSION_TOKEN: "t" };
    expect(await check(env)).toMatchInlineSnapshot(`
      "The temporary AWS credentials from the environment (AWS_ACCESS_KEY_ID) have expired. Run the following command:
            $ aws-vault exec <profile> -- sky check aws  # Or whatever has set AWS_SESSION_TOKEN."
    `);
    home.write(
      ".aws/credentials",
      "[default]\naws_access_key_id = ASIAOLD\naws_secret_access_key = s\naws_session_token = t\n",
    );
    expect(await check()).toMatchInlineSnapshot(`
      "The temporary AWS credentials from profile 'default' in ~/.aws/credentials have expired. Run the following commands:
            $ aws configure set aws_access_key_id <new id>
            $ aws configure set aws_secret_access_key <new key>
            $ aws configure set aws_session_token <new token>"
    `);
    expect(await check({ ...env, AWS_CREDENTIAL_EXPIRATION: inHours(-1) })).toContain("have expired");
  });

  it("a wrong key and a wrong secret", async () => {
    expect(await check({ AWS_ACCESS_KEY_ID: "AKIANOBODY1234", AWS_SECRET_ACCESS_KEY: "s" })).toMatchInlineSnapshot(`
      "Failed to access AWS services with credentials. Make sure that the access and secret keys are correct. The key ****1234 comes from the environment (AWS_ACCESS_KEY_ID). Run the following commands:
            $ aws configure
            $ aws configure list  # Ensure that this shows identity is set.
          For more info: https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-quickstart.html
          Details: sts:GetCallerIdentity: [InvalidClientTokenId] The security token included in the request is invalid."
    `);
    aws.principals.set("AKIATYPO", { userId: "u", account: "1", arn: "a", problem: "wrong-secret" });
    expect(await check({ AWS_ACCESS_KEY_ID: "AKIATYPO", AWS_SECRET_ACCESS_KEY: "s" })).toContain(
      "request signature we calculated",
    );
  });

  it("a role that may not be assumed", async () => {
    home.write(".aws/credentials", `[default]\n${KEYS}`);
    home.write(".aws/config", `[profile dev]\nrole_arn = ${ROLE}\nsource_profile = default\n`);
    expect(await check({ AWS_PROFILE: "dev" })).toMatchInlineSnapshot(`
      "AWS denies sts:AssumeRole on arn:aws:iam::123456789012:role/dev to arn:aws:iam::123456789012:user/file: [AccessDenied] User: arn:aws:iam::123456789012:user/file is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/dev. Ask an administrator to allow it:
            {"Effect":"Allow","Action":"sts:AssumeRole","Resource":"arn:aws:iam::123456789012:role/dev"}
          The trust policy of the role must name the caller too, and external_id be what it asks for.
          For more info: https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-role.html"
    `);
  });

  it("a role that needs an MFA code", async () => {
    aws.roles.set(ROLE, { mfaCode: "123456" });
    home.write(".aws/credentials", `[default]\n${KEYS}`);
    home.write(
      ".aws/config",
      `[profile dev]\nrole_arn = ${ROLE}\nsource_profile = default\nmfa_serial = arn:aws:iam::1:mfa/me\n`,
    );
    expect(await check({ AWS_PROFILE: "dev" })).toMatchInlineSnapshot(`
      "The role arn:aws:iam::123456789012:role/dev (profile 'dev') needs a code of the MFA device arn:aws:iam::1:mfa/me. Run the following command:
            $ sky aws login --profile dev
          For more info: https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-role.html"
    `);
  });

  it("a web identity token that is missing, old or not trusted", async () => {
    const env = { AWS_WEB_IDENTITY_TOKEN_FILE: join(home.path, "token"), AWS_ROLE_ARN: ROLE };
    expect(await check(env)).toMatchInlineSnapshot(
      `"The web identity for the role arn:aws:iam::123456789012:role/dev is not accepted: there is no token file ~/token. Whatever writes the token file (EKS, the CI system) has to renew it; then run: sky check aws"`,
    );
    home.write("token", "old-token");
    expect(await check(env)).toMatchInlineSnapshot(
      `"The web identity for the role arn:aws:iam::123456789012:role/dev is not accepted: the token in ~/token has expired. Token expired: current date/time must be before the expiration date/time. Whatever writes the token file (EKS, the CI system) has to renew it; then run: sky check aws"`,
    );
    home.write("token", "strange");
    expect(await check(env)).toMatchInlineSnapshot(
      `"The web identity for the role arn:aws:iam::123456789012:role/dev is not accepted: No OpenIDConnect provider found in your account. Check that the role's trust policy names the identity provider, audience and subject of the token."`,
    );
  });

  it("a credential_process that fails, or talks nonsense", async () => {
    home.write(".aws/config", `[default]\ncredential_process = ls "${join(home.path, "nowhere")}"\n`);
    expect(await check()).toMatch(/failed: it ended with code \d+: ls: .*No such file/u);
    home.write(".aws/config", `[default]\ncredential_process = echo hello\n`);
    expect(await check()).toMatchInlineSnapshot(`
      "The credential_process of AWS profile 'default' failed: its output is not a JSON object. Run the following command:
            $ echo hello"
    `);
    home.write(".aws/config", `[default]\ncredential_process = no-such-program-here\n`);
    expect(await check()).toMatchInlineSnapshot(`
      "The credential_process of AWS profile 'default' failed: there is no program no-such-program-here. Run the following command:
            $ no-such-program-here"
    `);
  });

  it("a container endpoint that refuses, or is not on this machine", async () => {
    aws.containerToken = "t";
    expect(await check({ AWS_CONTAINER_CREDENTIALS_FULL_URI: `${aws.url}/container` })).toMatchInlineSnapshot(
      `"The container credentials endpoint http://AWS/container gave no credentials: it answers 403: Invalid authorization token. Check that a task role (ECS) or a pod identity association (EKS) is set for this container."`,
    );
    expect(await check({ AWS_CONTAINER_CREDENTIALS_FULL_URI: "http://example.com/x" })).toMatchInlineSnapshot(
      `"The container credentials endpoint http://example.com/x gave no credentials: only https, a loopback address or one of 169.254.170.2, 169.254.170.23, [fd00:ec2::23], localhost is allowed. Check that a task role (ECS) or a pod identity association (EKS) is set for this container."`,
    );
  });

  it("an instance without a role", async () => {
    aws.instanceRole = undefined;
    expect(await check()).toMatchInlineSnapshot(
      `"The instance metadata service gave no credentials: no role is attached to this instance. Check that an instance profile is attached to this instance and that IMDSv2 is allowed (hop limit 2 in containers)."`,
    );
  });

  it("no network", async () => {
    const env = { AWS_ACCESS_KEY_ID: "AKIAFILE", AWS_SECRET_ACCESS_KEY: "s", AWS_ENDPOINT_URL: "http://127.0.0.1:9" };
    expect(await check(env)).toMatchInlineSnapshot(
      `"127.0.0.1:9 cannot be reached: the connection is refused. Check the network of the machine that calls AWS (DNS, proxy, firewall), then run: sky check aws"`,
    );
  });

  it("a clock that is wrong: our calls go by AWS's time, and a hint says so", async () => {
    aws.skewMs = 40 * 60_000;
    const result = await open({ AWS_ACCESS_KEY_ID: "AKIAFILE", AWS_SECRET_ACCESS_KEY: "s" }).check(context());
    expect(result.enabled).toEqual(["compute", "storage"]);
    expect(result.hints?.[0]?.text).toMatchInlineSnapshot(`
      "This machine's clock is 40 min behind AWS's: SkyPilot corrects its own calls; others may be refused. Run the following commands:
            $ sudo timedatectl set-ntp true
            $ date -u"
    `);
  });

  it("compute denied", async () => {
    aws.denied.add("ec2:DescribeRegions");
    const result = await open({ AWS_ACCESS_KEY_ID: "AKIAFILE", AWS_SECRET_ACCESS_KEY: "s" }).check(context());
    expect(result.enabled).toEqual(["storage"]);
    expect(result.reasons[0]?.text).toMatchInlineSnapshot(`
      "Failed to fetch the availability zones for the account AIDAFILE [account=123456789012]. It is likely due to permission issues, please check the minimal permission required for AWS: https://docs.skypilot.co/en/latest/cloud-setup/cloud-permissions/aws.html
          Details: AWS refused ec2:DescribeRegions to arn:aws:iam::123456789012:user/file.
          Add to the policy of the user file:
            {"Sid":"Read","Effect":"Allow","Action":"ec2:DescribeRegions","Resource":"*"}"
    `);
  });

  it("listing buckets denied leaves storage on, with a hint", async () => {
    aws.denied.add("s3:ListAllMyBuckets");
    const result = await open({ AWS_ACCESS_KEY_ID: "AKIAFILE", AWS_SECRET_ACCESS_KEY: "s" }).check(context());
    expect(result.enabled).toEqual(["compute", "storage"]);
    expect(result.hints?.at(-1)).toMatchInlineSnapshot(`
      {
        "capabilities": [
          "storage",
        ],
        "text": "Buckets cannot be listed (s3:ListAllMyBuckets is denied); only buckets that AIDAFILE [account=123456789012] may use by name work.",
      }
    `);
  });

  it("keys that are revoked after a good check are refused by the next one", async () => {
    const cloud = open({ AWS_ACCESS_KEY_ID: "AKIAFILE", AWS_SECRET_ACCESS_KEY: "s" });
    expect((await cloud.check(context())).enabled).toEqual(["compute", "storage"]);
    aws.principals.delete("AKIAFILE");
    expect((await cloud.check(context())).enabled).toEqual([]);
  });
});

it("never shows a secret, whatever fails", async () => {
  home.write(
    ".aws/credentials",
    "[default]\naws_access_key_id = AKIANOBODY\naws_secret_access_key = canary-secret\naws_session_token = canary-token\n",
  );
  const result = await open().check(context());
  expect(JSON.stringify(result)).not.toContain("canary");
});

it("loads only the wanted capabilities", async () => {
  const config = { aws: { capabilities: ["Storage"] } };
  const result = await open({ AWS_ACCESS_KEY_ID: "AKIAFILE", AWS_SECRET_ACCESS_KEY: "s" }).check(context({ config }));
  expect(result.enabled).toEqual(["storage"]);
  expect(aws.count("DescribeRegions")).toBe(0);
});

describe("credentials that are known", () => {
  it("are those of the last load, and AWS is not asked", async () => {
    const keys = aws.issue({ userId: "AROAX:s", account: "123456789012", arn: "arn:aws:sts::1:assumed-role/r/s" });
    home.write(".aws/config", `[profile dev]\ncredential_process = cat ${home.path}/keys.json\n`);
    home.write(
      "keys.json",
      JSON.stringify({
        Version: 1,
        AccessKeyId: keys.id,
        SecretAccessKey: keys.secret,
        SessionToken: keys.token,
        Expiration: keys.expires,
      }),
    );
    const cloud = open();
    const request = context({ env: { AWS_PROFILE: "dev" } });
    expect(cloud.knownCredentials?.(request)).toBeUndefined();
    await cloud.credentials?.(request);
    const calls = aws.calls.length;
    expect(cloud.knownCredentials?.(request)).toMatchObject({
      kind: "custom-process",
      profile: "dev",
      expiresAtMs: Date.parse(keys.expires),
    });
    expect(aws.calls).toHaveLength(calls);
    expect(cloud.knownCredentials?.(context({ env: { AWS_PROFILE: "missing" } }))).toBeUndefined();
  });
});
