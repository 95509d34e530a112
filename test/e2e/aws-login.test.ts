import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { FakeAws } from "../support/aws/fake-aws.ts";
import { writeBrowser } from "./support/browser.ts";
import { plainText } from "./support/plain-text.ts";
import { findReference } from "./support/reference.ts";
import type { RunResult } from "./support/run-program.ts";
import { OfficialClient, Sandbox } from "./support/sandbox.ts";

const ROLE = "arn:aws:iam::123456789012:role/dev";
const SSO =
  "[profile dev]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Admin\nregion = us-east-1\n\n[sso-session corp]\nsso_start_url = https://corp.example/start\nsso_region = us-east-1\nsso_registration_scopes = sso:account:access\n";

let sandbox: Sandbox;
let aws: FakeAws;

beforeAll(async () => {
  sandbox = await Sandbox.create();
});

afterAll(async () => {
  await sandbox?.dispose();
});

beforeEach(async () => {
  aws = await FakeAws.open();
  aws.ssoRoles.add("123456789012/Admin");
});

afterEach(async () => {
  await aws.close();
});

/** Writes a file in the user's HOME. */
function write(path: string, text: string): void {
  const file = join(sandbox.home, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

async function sky(
  args: readonly string[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly stdin?: string } = {},
): Promise<RunResult & { readonly text: string }> {
  const env = { AWS_ENDPOINT_URL: aws.url, AWS_EC2_METADATA_DISABLED: "true", ...options.env };
  const run = { env: sandbox.env(env), ...(options.stdin === undefined ? {} : { stdin: options.stdin }) };
  const result = await sandbox.sky(args, run);
  return { ...result, text: plainText(result.stdout + result.stderr) };
}

function tokenFile(): string {
  return join(sandbox.home, ".aws/sso/cache", `${createHash("sha1").update("corp").digest("hex")}.json`);
}

describe("sky check aws", () => {
  it("shows the account in the documented form, and with -v all about the credentials", async () => {
    const keys = aws.issue({
      userId: "AROAXXXXXXXXXXXXXXXXX:user",
      account: "123456789012",
      arn: "arn:aws:sts::1:assumed-role/r/user",
    });
    const env = { AWS_ACCESS_KEY_ID: keys.id, AWS_SECRET_ACCESS_KEY: keys.secret, AWS_SESSION_TOKEN: keys.token };
    const plain = await sky(["check", "aws"], { env });
    expect(plain.text).toContain("Checking credentials to enable clouds for SkyPilot.");
    expect(plain.text).toMatch(
      /^ {2}AWS: enabled \[compute, storage\]\s*\n {4}Activated account: AROAXXXXXXXXXXXXXXXXX:user \[account=123456789012\]$/mu,
    );
    expect(plain.text).not.toContain("Credentials:");
    const verbose = await sky(["check", "aws", "-v"], { env: { ...env, AWS_REGION: "eu-west-1" } });
    expect(verbose.text).toMatch(/^ {4}Credentials: env, do not expire$/mu);
    expect(verbose.text).toMatch(/^ {4}Region: eu-west-1$/mu);
    expect(verbose.text).toMatch(/^ {4}Machine: credentials of this machine \(\S+\)$/mu);
  });

  it("says why not, and what repairs it", async () => {
    write(".aws/credentials", "[work]\naws_access_key_id = AKIAWORK\naws_secret_access_key = s\n");
    const { text, exitCode } = await sky(["check", "aws"]);
    expect(text).toMatch(/^ {2}AWS: disabled/mu);
    expect(text).toContain(
      "Reason [compute, storage]: AWS credentials are not set. profiles found: work; none is named `default` and AWS_PROFILE is not set.",
    );
    expect(text).toContain("      $ export AWS_PROFILE=work");
    expect(exitCode).toBe(0);
  });

  it("is the same for the official client", async ({ skip }) => {
    const reference = findReference();
    if (reference === undefined) return skip("set SKY_REFERENCE_PYTHON to run it");
    const keys = aws.issue({ userId: "AIDAOFFICIAL", account: "123456789012", arn: "arn:aws:iam::1:user/o" });
    // The official client forwards keys and profile, but not where AWS is.
    if (sandbox.serverProcesses().length > 0) await sandbox.killServer();
    await sandbox.startServer({ AWS_ENDPOINT_URL: aws.url, AWS_EC2_METADATA_DISABLED: "true" });
    const client = new OfficialClient(sandbox, reference, { remote: false });
    const env = { AWS_ACCESS_KEY_ID: keys.id, AWS_SECRET_ACCESS_KEY: keys.secret, AWS_SESSION_TOKEN: keys.token };
    const result = await client.sky(["check", "aws"], { env: client.env(env) });
    expect(plainText(result.stdout)).toContain("Activated account: AIDAOFFICIAL [account=123456789012]");
  });
});

describe("sky aws login", () => {
  it("opens the browser, and leaves the file that the AWS CLI reads", async () => {
    write(".aws/config", SSO);
    const before = await sky(["check", "aws"], { env: { AWS_PROFILE: "dev" } });
    expect(before.text).toContain("      $ sky aws login --profile dev");
    const login = await sky(["aws", "login", "--profile", "dev"], { env: { BROWSER: writeBrowser(sandbox.root) } });
    expect(login.text).toMatch(/Logged in with profile 'dev' as AROA\w+:ann@example\.com \[account=123456789012\]\./u);
    expect(login.exitCode).toBe(0);
    expect(aws.calls).toContain("GET /authorize");
    const token = JSON.parse(readFileSync(tokenFile(), "utf8")) as Record<string, string>;
    expect(token).toMatchObject({
      startUrl: "https://corp.example/start",
      region: "us-east-1",
      accessToken: aws.ssoToken,
      refreshToken: "canary-again",
      clientId: "client",
    });
    expect(token["expiresAt"]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/u);
    expect(statSync(tokenFile()).mode & 0o777).toBe(0o600);
    const after = await sky(["check", "aws"], { env: { AWS_PROFILE: "dev" } });
    expect(after.text).toMatch(/AWS: enabled \[compute, storage\]/u);
    expect(login.text + after.text).not.toContain(aws.ssoToken);
  });

  it("shows a code with --no-browser, and waits until it is confirmed", async () => {
    write(".aws/config", SSO);
    aws.deviceState = "pending";
    const login = await sky(["aws", "login", "--profile", "dev", "--no-browser"]);
    expect(login.text).toContain(`Open this page in a browser: ${aws.url}/device?user_code=ABCD-EFGH`);
    expect(login.text).toContain("and confirm the code: ABCD-EFGH");
    expect(login.text).toContain("Logged in with profile 'dev'");
    expect(aws.count("POST /token")).toBe(2);
  });

  it.each([
    ["access_denied", "was refused in the browser."],
    ["expired_token", "was not confirmed in time."],
  ] as const)("ends when the user's answer is %s", async (state, message) => {
    write(".aws/config", SSO);
    aws.deviceState = state;
    const login = await sky(["aws", "login", "--profile", "dev", "--no-browser"]);
    expect(login.text).toContain(`The login to https://corp.example/start ${message}`);
    expect(login.exitCode).toBe(1);
  });

  it("asks for an MFA code, and keeps the session where the AWS CLI does", async () => {
    aws.principals.set("AKIAMFA", {
      userId: "AIDAMFA",
      account: "123456789012",
      arn: "arn:aws:iam::123456789012:user/m",
    });
    aws.roles.set(ROLE, { mfaCode: "123456" });
    write(".aws/credentials", "[base]\naws_access_key_id = AKIAMFA\naws_secret_access_key = s\n");
    write(
      ".aws/config",
      `[profile mfa]\nrole_arn = ${ROLE}\nsource_profile = base\nmfa_serial = arn:aws:iam::123456789012:mfa/me\n`,
    );
    const wrong = await sky(["aws", "login", "--profile", "mfa"], { stdin: "000000\n" });
    expect(wrong.text).toContain("AWS refuses the code of the MFA device arn:aws:iam::123456789012:mfa/me");
    const login = await sky(["aws", "login", "--profile", "mfa"], { stdin: "123456\n" });
    expect(login.text).toMatch(/Logged in with profile 'mfa' as AROA\w+:skypilot/u);
    const arguments_ = `{"RoleArn": "${ROLE}", "SerialNumber": "arn:aws:iam::123456789012:mfa/me"}`;
    const cache = join(sandbox.home, ".aws/cli/cache", `${createHash("sha1").update(arguments_).digest("hex")}.json`);
    expect(statSync(cache).mode & 0o777).toBe(0o600);
    const check = await sky(["check", "aws"], { env: { AWS_PROFILE: "mfa" } });
    expect(check.text).toMatch(/AWS: enabled/u);
  });

  it("says which profiles need no login", async () => {
    write(".aws/credentials", "[default]\naws_access_key_id = AKIAWORK\naws_secret_access_key = s\n");
    const login = await sky(["aws", "login"]);
    expect(login.text).toContain(
      "The AWS profile 'default' needs no login here: its credentials are of kind shared-credentials-file.",
    );
    expect(login.exitCode).toBe(1);
  });

  it("is refused for a server on another machine, where AWS_PROFILE has no effect either", async () => {
    const env = { SKYPILOT_API_SERVER_ENDPOINT: "http://server.example:46580", AWS_PROFILE: "dev" };
    const login = await sky(["aws", "login"], { env });
    expect(login.text).toContain(
      "AWS_PROFILE=dev has no effect: the API server at http://server.example:46580 uses its own AWS credentials.",
    );
    expect(login.text).toContain(
      "The AWS credentials of the API server at http://server.example:46580 are on its machine",
    );
  });
});

describe("sky aws configure-sso", () => {
  it("lists accounts and roles, and writes the profile beside what is there", async () => {
    aws.ssoRoles.add("123456789012/ReadOnly").add("210987654321/Admin");
    write(".aws/config", "# mine\n[default]\nregion = eu-west-1\n");
    const options = ["--session", "corp", "--start-url", "https://corp.example/start", "--sso-region", "us-east-1"];
    const run = await sky(
      ["aws", "configure-sso", ...options, "--profile", "new", "--region", "us-west-2", "--no-browser"],
      { stdin: "1\nReadOnly\n" },
    );
    expect(run.text).toContain("  1  123456789012  account 0\n  2  210987654321  account 1\n");
    expect(run.text).toContain("To use it: AWS_PROFILE=new sky check aws");
    expect(readFileSync(join(sandbox.home, ".aws/config"), "utf8")).toBe(
      "# mine\n[default]\nregion = eu-west-1\n\n[sso-session corp]\nsso_start_url = https://corp.example/start\nsso_region = us-east-1\nsso_registration_scopes = sso:account:access\n\n[profile new]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = ReadOnly\nregion = us-west-2\n",
    );
    const check = await sky(["check", "aws"], { env: { AWS_PROFILE: "new" } });
    expect(check.text).toMatch(/AWS: enabled/u);
  });
});

it("leaves no secret in the server's files", () => {
  const files = readdirSync(join(sandbox.home, ".sky"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  expect(files.length).toBeGreaterThan(3);
  for (const file of files.filter((path) => existsSync(path))) {
    expect(readFileSync(file, "latin1").includes("canary"), `${file} holds a secret`).toBe(false);
  }
});
