import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { FakeAws } from "../support/aws/fake-aws.ts";
import { plainText } from "./support/plain-text.ts";
import { Sandbox } from "./support/sandbox.ts";

let sandbox: Sandbox;
let aws: FakeAws;

beforeAll(async () => {
  aws = await FakeAws.open();
  sandbox = await Sandbox.create();
  for (const name of ["MINE", "RESEARCH"]) {
    const arn = `arn:aws:iam::123456789012:user/${name}`;
    aws.principals.set(`AKIA${name}`, { userId: `AIDA${name}`, account: "123456789012", arn });
  }
  mkdirSync(join(sandbox.home, ".aws"), { recursive: true });
  mkdirSync(join(sandbox.home, ".sky"), { recursive: true });
  const keys = (profile: string, name: string): string =>
    `[${profile}]\naws_access_key_id = AKIA${name}\naws_secret_access_key = s\n`;
  writeFileSync(join(sandbox.home, ".aws/credentials"), keys("default", "MINE") + keys("research", "RESEARCH"));
  writeFileSync(
    join(sandbox.home, ".sky/config.yaml"),
    "workspaces:\n  default: {}\n  research:\n    aws:\n      profile: research\n  closed:\n    aws:\n      disabled: true\n",
  );
});

afterAll(async () => {
  await sandbox?.dispose();
  await aws.close();
});

async function check(...args: readonly string[]): Promise<string> {
  const env = sandbox.env({ AWS_ENDPOINT_URL: aws.url, AWS_EC2_METADATA_DISABLED: "true" });
  const result = await sandbox.sky(["check", ...args], { env });
  return plainText(result.stdout + result.stderr);
}

it("a check of all workspaces uses the profile of each, and leaves out what is disabled", async () => {
  const text = await check("aws");
  expect(text).toContain("Checking credentials to enable clouds for SkyPilot (Workspaces: closed, default, research).");
  const [, closed = "", own = "", research = ""] = text.split("Checking enabled infra for workspace: ");
  expect(closed).toContain("Reason [compute, storage]: AWS is disabled for the workspace 'closed'");
  expect(closed).not.toContain("Activated account");
  expect(own).toContain("Activated account: AIDAMINE [account=123456789012]");
  expect(research).toContain("Activated account: AIDARESEARCH [account=123456789012]");
  expect(research).toContain("🎉 Enabled infra for workspace: 'research' 🎉");
});

it("one workspace is checked in the short form", async () => {
  const text = await check("aws", "--workspace", "research");
  expect(text).toContain("Checking credentials to enable clouds for SkyPilot.\n");
  expect(text).toContain("Activated account: AIDARESEARCH");
  expect(text).not.toContain("AIDAMINE");
});
