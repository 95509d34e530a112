import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { installZoneNames, readRecordedLists } from "../support/catalogs.ts";
import { describeWithReference } from "./support/reference.ts";
import { OfficialClient, Sandbox } from "./support/sandbox.ts";

/** The official client takes ten seconds for each; the others differ in what our own tests cover. */
const LISTS = ["--infra aws", "a10 --infra aws", "L4 -o json --infra aws", "-a --infra aws", "T4 --infra aws/us-east"];

let sandbox: Sandbox;

beforeAll(async () => {
  sandbox = await Sandbox.create();
  installZoneNames(sandbox.home);
  await sandbox.startServer();
});

afterAll(async () => {
  await sandbox?.dispose();
});

describeWithReference("the official client on our server prints what it prints on its own", (reference) => {
  const recordings = readRecordedLists().map((one) => [one.args.join(" "), one] as const);
  it.each(recordings.filter(([words]) => LISTS.includes(words)))("%s", async (_, recorded) => {
    const client = new OfficialClient(sandbox, reference, { remote: false });
    const { stdout, stderr, exitCode } = await client.sky(["gpus", "list", ...recorded.args]);
    expect(stdout).toBe(recorded.stdout);
    expect([stderr, exitCode]).toEqual(["", recorded.exitCode]);
  });
});

describe("the built CLI", () => {
  it("lists every accelerator with its prices, offline and without credentials", async () => {
    const { stdout, exitCode } = await sandbox.sky(["gpus", "list", "--all"]);
    expect(stdout).toContain("COMMON_GPU  AVAILABLE_QUANTITIES");
    expect(stdout).toContain("OTHER_GPU     AVAILABLE_QUANTITIES");
    expect(stdout).toMatch(/^H100 {2}8 {4}AWS {4}p5\.48xlarge {4}80GB {8}192 {4}2048GB {4}\$ 55\.040/mu);
    expect(exitCode).toBe(0);
  });
});
