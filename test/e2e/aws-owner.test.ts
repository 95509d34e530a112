import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FakeAws, type FakePrincipal } from "../support/aws/fake-aws.ts";
import { writeBrowser } from "./support/browser.ts";
import { OfficialShell } from "./support/official-shell.ts";
import { parseTable, plainText } from "./support/plain-text.ts";
import { findReference } from "./support/reference.ts";
import { expectRefusal } from "./support/refusal.ts";
import { startProgram, type RunningProgram, type RunResult } from "./support/run-program.ts";
import { OfficialClient, repoRoot, Sandbox } from "./support/sandbox.ts";
import { hasTerminal, runAtTerminal } from "./support/terminal.ts";
import { waitFor } from "./support/wait-for.ts";

const SERVER = fileURLToPath(new URL("support/account-server.ts", import.meta.url));
const PEOPLE: Readonly<Record<string, FakePrincipal>> = {
  owner: { userId: "AIDAOWNER", account: "111111111111", arn: "arn:aws:iam::111111111111:user/owner" },
  mate: { userId: "AIDAMATE", account: "111111111111", arn: "arn:aws:iam::111111111111:user/mate" },
  stranger: { userId: "AIDASTRANGER", account: "222222222222", arn: "arn:aws:iam::222222222222:user/stranger" },
};
const SSO_TOKEN_FILE = `.aws/sso/cache/${createHash("sha1").update("corp").digest("hex")}.json`;
const REFUSED =
  "'c1' (AWS) is owned by account ['AIDAOWNER', '111111111111'], but the activated identity is ['AIDASTRANGER', '222222222222'].";

let sandbox: Sandbox;
let aws: FakeAws;
let server: RunningProgram | undefined;

/** The built CLI, and the API server with machines that belong to AWS identities. */
beforeAll(async () => {
  [sandbox, aws] = await Promise.all([Sandbox.create(), FakeAws.open()]);
  for (const [name, who] of Object.entries(PEOPLE)) aws.principals.set(`AKIA${name.toUpperCase()}`, who);
  aws.ssoRoles.add("111111111111/Admin");
  const keys = Object.keys(PEOPLE).map(
    (name) => `[${name}]\naws_access_key_id = AKIA${name.toUpperCase()}\naws_secret_access_key = s\n`,
  );
  write(".aws/credentials", keys.join(""));
  write(
    ".aws/config",
    "[profile sso]\nsso_session = corp\nsso_account_id = 111111111111\nsso_role_name = Admin\n[sso-session corp]\nsso_start_url = https://corp.example/start\nsso_region = us-east-1\n",
  );
  write(".sky/config.yaml", "workspaces:\n  default: {}\n  other: {}\n");
  await startServer();
});

afterAll(async () => {
  server?.kill("SIGKILL");
  await sandbox?.dispose();
  await aws?.close();
});

function write(path: string, text: string): void {
  const file = join(sandbox.home, path);
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, text, { mode: 0o600 });
}

async function startServer(): Promise<void> {
  let output = "";
  server = startProgram([process.execPath, SERVER, String(sandbox.port)], {
    env: sandbox.env({ AWS_ENDPOINT_URL: aws.url, AWS_EC2_METADATA_DISABLED: "true" }),
    cwd: sandbox.work,
    timeoutMs: 600_000,
    onOutput: (text) => {
      output += text;
    },
  });
  await waitFor("the server to listen", () => output.includes("listening"));
}

/** Ends the server and starts another, which has no keys in memory. */
async function restartServer(): Promise<void> {
  server?.kill("SIGKILL");
  await server?.result.catch(() => undefined);
  await startServer();
}

function env(profile: string, more: Readonly<Record<string, string>> = {}): Record<string, string> {
  const browser = writeBrowser(sandbox.root);
  const here = { AWS_ENDPOINT_URL: aws.url, AWS_EC2_METADATA_DISABLED: "true", AWS_PROFILE: profile, BROWSER: browser };
  return sandbox.env({ ...here, TERM: "xterm", ...more });
}

async function sky(
  profile: string,
  args: readonly string[],
  more: Readonly<Record<string, string>> = {},
): Promise<RunResult & { readonly text: string }> {
  const result = await sandbox.sky(args, { env: env(profile, more) });
  return { ...result, text: plainText(result.stdout + result.stderr) };
}

async function statusOf(profile: string, cluster: string): Promise<Record<string, string> | undefined> {
  const { stdout } = await sky(profile, ["status"]);
  return parseTable(stdout, "NAME").find((row) => row["NAME"] === cluster);
}

/** Everything that changes a cluster. */
const WRITES: readonly (readonly string[])[] = [
  ["launch", "-y", "-c", "c1", "--infra", "local", "echo more"],
  ["exec", "c1", "echo more"],
  ["cancel", "-y", "c1", "-a"],
  ["autostop", "-y", "-i", "10", "c1"],
  ["autostop", "-y", "--cancel", "c1"],
  ["start", "-y", "-f", "c1"],
  ["stop", "-y", "c1"],
  ["down", "-y", "c1"],
];

const READS: readonly (readonly [readonly string[], RegExp])[] = [
  [["status"], /^c1 .* UP /mu],
  [["status", "--refresh"], /^c1 .* UP /mu],
  [["status", "--ip", "c1"], /^127\./mu],
  [["queue", "c1"], /^1 .* SUCCEEDED /mu],
  [["logs", "c1", "1", "--no-follow"], /hello from the owner/u],
  [["cost-report"], /^c1 /mu],
];

describe("a cluster belongs to the identity that made it", () => {
  beforeAll(async () => {
    const launch = await sky("owner", ["launch", "-y", "-c", "c1", "--infra", "local", "echo hello from the owner"]);
    expect(launch.exitCode, launch.text).toBe(0);
    expect(launch.text).not.toMatch(/session|was owned/u);
  });

  it.each(WRITES.map((args) => ({ line: args.join(" "), args })))(
    "sky $line is refused to another account",
    async ({ args }) => {
      const result = await sky("stranger", args);
      expectRefusal(result, { exitCode: 1, message: REFUSED, hint: /AWS_PROFILE, or aws\.profile of the workspace/u });
      expect(await statusOf("stranger", "c1")).toMatchObject({ STATUS: "UP", AUTOSTOP: "-" });
    },
  );

  it.each(READS.map(([args, shows]) => ({ line: args.join(" "), args, shows })))(
    "sky $line is allowed to another account",
    async ({ args, shows }) => {
      const result = await sky("stranger", args);
      expect(result.text).toMatch(shows);
      expect(result.exitCode).toBe(0);
    },
  );

  it("the official client is refused in the same words, and shown the cluster", async ({ skip }) => {
    const reference = findReference();
    if (reference === undefined) return skip("set SKY_REFERENCE_PYTHON to run it");
    const shell = new OfficialShell(new OfficialClient(sandbox, reference, { remote: false }), reference);
    try {
      const stop = await shell.sky(["stop", "-y", "c1"], { AWS_PROFILE: "stranger" });
      expect(plainText(stop.text).replaceAll(/\s+/gu, " ")).toContain(REFUSED);
      const status = await shell.sky(["status"], { AWS_PROFILE: "stranger" });
      expect(plainText(status.text)).toMatch(/^c1 .* UP /mu);
    } finally {
      shell.close();
    }
  });

  it("a write in another workspace is refused, whoever it is", async () => {
    const result = await sky("owner", ["stop", "-y", "c1", "--config", "active_workspace=other"]);
    expectRefusal(result, {
      exitCode: 1,
      message: "The cluster 'c1' is in workspace 'default', but the active workspace is 'other'.",
    });
  });

  it("another user of the account goes on with a warning, and owns it from then on", async () => {
    const first = await sky("mate", ["autostop", "-y", "-i", "60", "c1"]);
    expect(first.text).toContain(
      "The cluster was owned by ['AIDAOWNER', '111111111111'], but a new identity ['AIDAMATE', '111111111111'] is activated.",
    );
    expect(first.exitCode).toBe(0);
    const second = await sky("mate", ["autostop", "-y", "--cancel", "c1"]);
    expect(second.text).not.toContain("was owned by");
  });

  it("who cannot be identified changes nothing", async () => {
    const result = await sky("sso", ["down", "-y", "c1"]);
    expectRefusal(result, {
      exitCode: 1,
      message: "AWS profile 'sso' uses IAM Identity Center (corp), and nobody has logged in yet.",
      hint: "$ sky aws login --profile sso",
    });
    expect(await statusOf("sso", "c1")).toMatchObject({ STATUS: "UP" });
  });

  it("the check can be left out", async () => {
    const skip = { SKYPILOT_SKIP_CLOUD_IDENTITY_CHECK: "1" };
    const result = await sky("stranger", ["down", "-y", "c1"], skip);
    expect(result.text).toContain("Terminating cluster c1...done.");
  });
});

describe("a session that ends", () => {
  const LAUNCH = ["launch", "-y", "-c", "c2", "--infra", "local"];

  beforeAll(async () => {
    expect((await sky("sso", ["aws", "login"])).text).toContain("Logged in with profile 'sso'");
  });

  it("is warned of where autostop comes after its end, and not where it comes before", async () => {
    const late = await sky("sso", [...LAUNCH, "-i", "120", "echo hello"]);
    expect(late.text).toMatch(
      /^The AWS session of profile 'sso' ends in (?:5\dm|1h0m), before cluster 'c2' has been idle for 120 minutes: unless you log in again until then, it is not stopped and goes on costing money\.$/mu,
    );
    const down = await sky("sso", ["autostop", "-y", "-i", "90", "--down", "c2"]);
    expect(down.text).toMatch(/before cluster 'c2' has been idle for 90 minutes: .* it is not torn down/u);
    expect((await sky("sso", ["autostop", "-y", "-i", "10", "c2"])).text).not.toContain("session");
  });

  it("is warned of where a job begins", async () => {
    const exec = await sky("sso", ["exec", "c2", "echo hello"]);
    expect(exec.text).toMatch(
      /^The AWS session of profile 'sso' ends in 5\dm: a job that takes longer goes on, but its cluster cannot be stopped until you log in again\.$/mu,
    );
    expect(exec.exitCode).toBe(0);
  });

  it.each([
    [["exec", "c2", "echo a second time"], "✓ Job finished (status: SUCCEEDED)."],
    [["stop", "-y", "c2"], "Stopping cluster c2...done."],
  ])("that has ended is opened again at a terminal, and sky %s goes on", async (command, done) => {
    if (!hasTerminal()) return;
    await restartServer();
    const ended = { startUrl: "https://corp.example/start", region: "us-east-1", accessToken: "ended" };
    write(SSO_TOKEN_FILE, JSON.stringify({ ...ended, expiresAt: "2020-01-01T00:00:00Z" }));
    const blind = await sky("sso", command);
    expectRefusal(blind, {
      exitCode: 1,
      message: "AWS access token is expired (SSO profile 'sso').",
      hint: "$ sky aws login --profile sso",
    });
    const argv = [process.execPath, join(repoRoot, "bin/sky.cjs"), ...command];
    const run = await runAtTerminal(argv, { env: env("sso"), cwd: sandbox.work });
    const text = plainText(run.stdout);
    const parts = [
      "AWS access token is expired (SSO profile 'sso').",
      "Logging in again.",
      "Logged in with profile 'sso'",
    ];
    const steps = [...parts, done].map((part) => text.indexOf(part));
    expect(steps, text).not.toContain(-1);
    expect(steps, text).toEqual(steps.toSorted((one, other) => one - other));
    expect(run.exitCode, text).toBe(0);
    // A new session is the same identity.
    expect(text).not.toContain("was owned by");
  });

  it("has run each job once", async () => {
    expect((await sky("sso", ["start", "-y", "c2"])).exitCode).toBe(0);
    expect((await sky("sso", ["queue", "c2"])).stdout.match(/SUCCEEDED/gu)).toHaveLength(3);
  });
});
