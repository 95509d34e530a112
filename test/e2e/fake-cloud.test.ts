/** The fake cloud as a user has it: its settings file, the built CLI, real agents on this machine. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LedgerEntry } from "../../src/clouds/fake/state.ts";
import { plainText } from "./support/plain-text.ts";
import { Sandbox } from "./support/sandbox.ts";
import { waitFor } from "./support/wait-for.ts";

describe("the fake cloud", () => {
  let sandbox: Sandbox;
  const directory = (): string => join(sandbox.home, ".sky");

  beforeAll(async () => {
    sandbox = await Sandbox.create();
    mkdirSync(directory());
    await sandbox.startServer();
  });
  afterAll(async () => {
    await sandbox?.dispose();
  });

  function settings(yaml: string): void {
    writeFileSync(join(directory(), "fake.yaml"), yaml);
  }

  async function sky(...args: string[]): Promise<{ readonly exitCode: number | null; readonly text: string }> {
    const { exitCode, stdout, stderr } = await sandbox.sky(args);
    return { exitCode, text: plainText(stdout + stderr) };
  }

  /** Nodes that somebody would pay for. */
  function nodesLeft(): readonly string[] {
    const file = join(directory(), "fake", "ledger.jsonl");
    if (!existsSync(file)) return [];
    const live = new Set<string>();
    for (const line of readFileSync(file, "utf8").trim().split("\n")) {
      const { what, id } = JSON.parse(line) as LedgerEntry;
      if (what === "created") live.add(id);
      if (what === "terminated") live.delete(id);
    }
    return [...live];
  }

  it("is off until it is asked for, and says how to", async () => {
    rmSync(join(directory(), "fake.yaml"), { force: true });
    expect((await sky("check")).text).not.toContain("Fake");
    const { exitCode, text } = await sky("launch", "-y", "-c", "off", "--infra", "fake", "true");
    expect(exitCode).toBe(1);
    expect(text).toContain("touch ~/.sky/fake.yaml");
  });

  it("says where a mistake in its settings is, and leaves other infra alone", async () => {
    settings("capacity:\n  east-a: none\n");
    const { text } = await sky("check", "fake");
    expect(text).toContain("'none' is not of type 'integer'");
    expect(text).toMatch(/at .*fake\.yaml:2:11 \(capacity\.east-a\)/);
    const launched = await sky("launch", "-y", "-c", "bad", "--infra", "fake", "true");
    expect(launched.exitCode).toBe(1);
    expect(launched.text).toContain("sky check fake");
    expect((await sky("launch", "--dryrun", "-y", "--infra", "local", "true")).exitCode).toBe(0);
  });

  it("fails over to the third zone, runs the gang there, survives a stop, and leaves nothing", async () => {
    settings("capacity: {east-a: 0, east-b: 1}\nvisible_after: 0.3\nrunning_after: 0.2\n");
    const task = "echo rank $SKYPILOT_NODE_RANK; echo kept >> ~/note; cat ~/note";
    const launched = await sky("launch", "-y", "-c", "c1", "--num-nodes", "2", "--infra", "fake/east", task);
    expect(launched.text).toMatch(
      /├── east-a: There is room for 0[^\n]*\n├── east-b: There is room for 1[^\n]*\n└── Ins/,
    );
    expect(launched.text).toContain("rank=1");
    expect(launched.exitCode).toBe(0);
    expect((await sky("status")).text).toContain("Fake (east-c)");
    expect((await sky("stop", "-y", "c1")).exitCode).toBe(0);
    expect((await sky("start", "-y", "c1")).exitCode).toBe(0);
    const again = await sky("exec", "c1", "--num-nodes", "2", "cat ~/note");
    expect(again.text.match(/kept/g)).toHaveLength(2);
    expect((await sky("down", "-y", "c1")).exitCode).toBe(0);
    expect(nodesLeft()).toEqual([]);
    expect(readdirSync(join(directory(), "fake", "nodes"))).toEqual([]);
  });

  it("keeps on with --retry-until-up, in few lines, also when the server is killed meanwhile", async () => {
    settings("default_capacity: 0\n");
    const args = ["launch", "-y", "-c", "c2", "--infra", "fake", "--cpus", "2", "--retry-until-up", "echo made it"];
    const file = join(directory(), "fake", "state.json");
    // That of the tests before.
    rmSync(file, { force: true });
    const running = sandbox.startSky(args);
    await waitFor("the first round", async () => (await sky("status")).text.includes("c2") || existsSync(file));
    await sandbox.killServer();
    settings("default_capacity: 0\ncapacity: {west-a: 2}\n");
    await sandbox.startServer();
    const { exitCode, stdout, stderr } = await running.result;
    const text = plainText(stdout + stderr);
    expect(text).toContain("made it");
    expect(exitCode).toBe(0);
    expect(text.match(/Considered resources/g)?.length ?? 0).toBeLessThanOrEqual(1);
    expect(nodesLeft()).toHaveLength(1);
    expect((await sky("down", "-y", "c2")).exitCode).toBe(0);
    expect(nodesLeft()).toEqual([]);
  });
});
