import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { describeWithFleet } from "../fleet/requirements.ts";
import { plainText } from "./support/plain-text.ts";
import { findReference } from "./support/reference.ts";
import { OfficialClient, Sandbox } from "./support/sandbox.ts";

const reference = findReference();

/** The official client of another machine gives our server its pool and its key, and uses it. */
describeWithFleet("a pool and the official client", () => {
  let fleet: Fleet;
  let sandbox: Sandbox;
  let client: OfficialClient;

  beforeAll(async () => {
    if (reference === undefined) return;
    fleet = await Fleet.create();
    sandbox = await Sandbox.create(fleet);
    client = new OfficialClient(sandbox, reference, { remote: true });
    const hosts = await fleet.addHosts([{ name: "a" }, { name: "b" }, { name: "c" }]);
    mkdirSync(join(client.home, ".ssh"), { mode: 0o700 });
    copyFileSync(fleet.keyFile, join(client.home, ".ssh/pool-key"));
    const list = hosts.map(({ address }) => `    - ip: ${address}\n`).join("");
    writeFileSync(
      join(client.home, "pools.yaml"),
      `lab:\n  user: dev\n  identity_file: ~/.ssh/pool-key\n  hosts:\n${list}`,
    );
    await sandbox.startServer();
  });

  afterAll(async () => {
    await sandbox?.dispose();
    await fleet?.dispose();
  });

  async function sky(...args: string[]) {
    const result = await client.sky(args, { timeoutMs: 120_000 });
    return { ...result, text: plainText(result.stdout + result.stderr) };
  }

  test.skipIf(reference === undefined)("set up, launch, exec, logs, status, ssh, stop, down, clear", async () => {
    const up = await sky("ssh", "up", "--infra", "lab", "-f", join(client.home, "pools.yaml"));
    expect(up.text).toContain("✔ Node Pool `lab` deployed successfully.");
    const check = await sky("check", "ssh");
    expect(check.text).toContain("SSH: enabled [compute]");
    const launch = await sky(
      "launch",
      "-y",
      "-c",
      "c1",
      "--infra",
      "ssh/lab",
      "--num-nodes",
      "3",
      "echo rank $SKYPILOT_NODE_RANK",
    );
    expect(launch.text).toContain("rank 2");
    expect(launch.exitCode).toBe(0);
    expect((await sky("exec", "c1", "hostname")).text).toMatch(/\) a\n/u);
    expect((await sky("logs", "c1", "1")).text).toContain("rank 1");
    const status = await sky("status");
    expect(status.text).toMatch(/c1\s+SSH \(lab\)\s+3x\(cpus=\d+, mem=[\d.]+, \.\.\.\)\s+UP/u);
    const stanza = readFileSync(join(client.home, ".sky/generated/ssh/c1"), "utf8");
    expect(stanza).toContain("Host c1-worker2");
    expect((await sky("stop", "-y", "c1")).text).toContain("Stopping is currently not supported");
    expect((await sky("cancel", "-y", "-a", "c1")).exitCode).toBe(0);
    expect((await sky("down", "-y", "c1")).exitCode).toBe(0);
    expect((await sky("ssh", "down", "--infra", "lab")).text).toContain("Node Pool `lab` cleaned up successfully.");
  });
});
