import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { describeWithFleet } from "../fleet/requirements.ts";
import { plainText } from "./support/plain-text.ts";
import { findReference } from "./support/reference.ts";
import { OfficialClient, Sandbox } from "./support/sandbox.ts";
import { sshOfClient } from "./support/ssh-of-client.ts";

const reference = findReference();
const BEHIND_NAT = "203.0.113.7";

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
    const hosts = await fleet.addHosts([{ name: "a" }, { name: "b" }, { name: "c", gpus: ["NVIDIA L4", "NVIDIA L4"] }]);
    // The server calls one of them at an address that the others know nothing of, as behind a NAT.
    await hosts[1]?.addAddress(BEHIND_NAT);
    const ips = hosts.map(({ address, name }) => (name === "b" ? BEHIND_NAT : address));
    mkdirSync(join(client.home, ".ssh"), { mode: 0o700 });
    copyFileSync(fleet.keyFile, join(client.home, ".ssh/pool-key"));
    const list = ips.map((ip) => `    - ip: ${ip}\n`).join("");
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

  const ssh = (...args: readonly string[]) => sshOfClient({ fleet, sandbox, client }, args);

  /** Where one arrives by each name. */
  async function namesOf(...names: readonly string[]): Promise<string[]> {
    const found: string[] = [];
    for (const name of names) {
      const { stdout, stderr } = await ssh(name, "hostname; id -un");
      expect(stdout, `${name}: ${stderr}`).toMatch(/^\w\ndev\n$/u);
      found.push(stdout.slice(0, 1));
    }
    return found.sort();
  }

  test.skipIf(reference === undefined)(
    "set up, launch, exec, logs, status, ssh, stop, down, clear",
    { timeout: 400_000 },
    async () => {
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
      expect(await namesOf("c1", "c1-worker1", "c1-worker2")).toEqual(["a", "b", "c"]);
      const gpus = await sky("gpus", "list", "--infra", "ssh/lab");
      expect(gpus.text).toMatch(/L4 +1, 2 +2 of 2 free/u);
      expect(gpus.text).toMatch(/lab +10\.77\.0\.5 +.* L4 +2 of 2 free +Healthy/u);
      expect((await sky("stop", "-y", "c1")).text).toContain("Stopping is currently not supported");
      expect((await sky("cancel", "-y", "-a", "c1")).exitCode).toBe(0);
      expect((await sky("down", "-y", "c1")).exitCode).toBe(0);
      expect(existsSync(join(client.home, ".sky/generated/ssh/c1"))).toBe(false);
      expect((await sky("ssh", "down", "--infra", "lab")).text).toContain("Node Pool `lab` cleaned up successfully.");
    },
  );
});
