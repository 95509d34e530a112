import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { FakeAws } from "../support/aws/fake-aws.ts";
import { writeBrowser } from "./support/browser.ts";
import { plainText } from "./support/plain-text.ts";
import { repoRoot, Sandbox } from "./support/sandbox.ts";
import { hasTerminal, runAtTerminal } from "./support/terminal.ts";

const SSO =
  "[profile dev]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Admin\nregion = us-east-1\n\n[sso-session corp]\nsso_start_url = https://corp.example/start\nsso_region = us-east-1\n";

let sandbox: Sandbox;
let aws: FakeAws;

beforeAll(async () => {
  sandbox = await Sandbox.create();
});

afterAll(async () => {
  await sandbox.dispose();
  await aws?.close();
});

beforeEach(async () => {
  await aws?.close();
  aws = await FakeAws.open();
  aws.ssoRoles.add("123456789012/Admin");
  mkdirSync(join(sandbox.home, ".aws"), { recursive: true });
  writeFileSync(join(sandbox.home, ".aws/config"), SSO);
  const cache = join(sandbox.home, ".aws/sso/cache");
  mkdirSync(cache, { recursive: true });
  const ended = {
    startUrl: "https://corp.example/start",
    region: "us-east-1",
    accessToken: "ended",
    expiresAt: "2020-01-01T00:00:00Z",
  };
  writeFileSync(join(cache, `${createHash("sha1").update("corp").digest("hex")}.json`), JSON.stringify(ended));
});

function env(): Record<string, string> {
  const here = { AWS_ENDPOINT_URL: aws.url, AWS_EC2_METADATA_DISABLED: "true", AWS_PROFILE: "dev" };
  return sandbox.env({ ...here, BROWSER: writeBrowser(sandbox.root), TERM: "xterm" });
}

const command = ["check", "aws", "--permissions", "--region", "us-east-1"];

it("a command that meets an ended session at a terminal logs in again and goes on", async ({ skip }) => {
  if (!hasTerminal()) return skip("there is no `script`");
  const sky = [process.execPath, join(repoRoot, "bin/sky.cjs")];
  const run = await runAtTerminal([...sky, ...command], { env: env(), cwd: sandbox.work });
  const text = plainText(run.stdout);
  const [expired, login, done] = [
    text.indexOf("AWS access token is expired (SSO profile 'dev')."),
    text.indexOf("Logging in again."),
    text.indexOf("Logged in with profile 'dev'"),
  ];
  expect(expired, text).toBeGreaterThanOrEqual(0);
  expect(login, text).toBeGreaterThan(expired);
  expect(done, text).toBeGreaterThan(login);
  expect(text.slice(done), text).toMatch(/launch/u);
  expect(aws.count("GET /authorize")).toBe(1);
  expect(text).not.toContain(aws.ssoToken);
  // The same server found the new file by itself, and shows what is left.
  const check = await sandbox.sky(["check", "aws"], { env: env() });
  expect(plainText(check.stdout)).toContain("AWS: enabled");
  const calls = aws.calls.length;
  const status = await sandbox.sky(["status"], { env: env() });
  expect(plainText(status.stdout)).toMatch(/^\* AWS session of profile 'dev' ends in (?:5\dm|1h0m)$/mu);
  const launch = await sandbox.sky(["launch", "--dryrun", "-y", "-c", "c1", "true"], { env: env() });
  expect(launch.exitCode, launch.stderr).toBe(0);
  // Neither has asked AWS.
  expect(aws.calls).toHaveLength(calls);
});

it("without a terminal it fails with the command that repairs it", async () => {
  const run = await sandbox.sky(command, { env: env() });
  expect(plainText(run.stdout + run.stderr)).toContain("$ sky aws login --profile dev");
  expect(run.exitCode).toBe(1);
  expect(aws.count("GET /authorize")).toBe(0);
});
