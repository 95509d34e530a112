/** A pool whose hosts have little in common: another user on each, another port, an address that only the server knows. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { describeWithFleet } from "../fleet/requirements.ts";
import { installSshUser } from "../fleet/ssh-user.ts";
import { plainText } from "./support/plain-text.ts";
import { Sandbox } from "./support/sandbox.ts";

const BEHIND_NAT = "203.0.113.7";
const LOGINS = { one: "dev", two: "eve", three: "mia" } as const;

describeWithFleet("a pool of hosts that differ", () => {
  let fleet: Fleet;
  let sandbox: Sandbox;
  let remoteHome: string;

  beforeAll(async () => {
    fleet = await Fleet.create();
    sandbox = await Sandbox.create(fleet);
    remoteHome = join(sandbox.root, "remote-home");
    mkdirSync(remoteHome);
    const hosts = await fleet.addHosts([
      { name: "one" },
      { name: "two", users: [{ name: "eve" }] },
      { name: "three", users: [{ name: "mia" }], sshd: { port: 2222 } },
    ]);
    await hosts[1]?.addAddress(BEHIND_NAT);
    await installSshUser(fleet, { home: sandbox.home, hosts });
    mkdirSync(join(sandbox.home, ".sky"), { recursive: true });
    // eve is named here, mia in ~/.ssh/config.
    const two = `    - ip: ${BEHIND_NAT}\n      user: eve\n      identity_file: ~/.ssh/id_ed25519\n`;
    writeFileSync(join(sandbox.home, ".sky/ssh_node_pools.yaml"), `rack:\n  hosts:\n    - one\n${two}    - three\n`);
    await sandbox.startServer();
    await sky("ssh", "up");
  });

  afterAll(() => fleet?.dispose());

  async function sky(...args: readonly string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await sandbox.sky(args, { timeoutMs: 120_000 });
    expect(exitCode, `sky ${args.join(" ")}\n${stdout}\n${stderr}`).toBe(0);
    return plainText(stdout);
  }

  async function arriveAt(name: string, env: Readonly<Record<string, string>>): Promise<string> {
    const { stdout, stderr } = await sandbox.start(["ssh", name, "hostname; id -un"], { env }).result;
    expect(stdout, `${name}: ${stderr}`).not.toBe("");
    return stdout;
  }

  /** `host\nuser\n` of every node, by the cluster's names. */
  async function arriveAtAll(env: Readonly<Record<string, string>>): Promise<readonly string[]> {
    const found: string[] = [];
    for (const name of ["c1", "c1-worker1", "c1-worker2"]) found.push(await arriveAt(name, env));
    return found.sort();
  }

  const everybody = Object.entries(LOGINS)
    .map(([host, user]) => `${host}\n${user}\n`)
    .sort();

  test("a gang runs on them, each rank as its host's user", async () => {
    const shown = await sky("launch", "-y", "-c", "c1", "--infra", "ssh/rack", "--num-nodes", "3", "echo is $(id -un)");
    expect(shown.match(/(?<=is )\w+$/gmu)?.sort()).toEqual(Object.values(LOGINS).sort());
    expect(shown).not.toContain("sky stop");
    expect(shown).toContain("├── To submit a job:\t\tsky exec c1 yaml_file\n└── To teardown the cluster:\tsky down c1");
  });

  test("every node is logged in to by its name, as its own user", async () => {
    expect(await arriveAtAll(sandbox.env())).toEqual(everybody);
    const stanzas = readFileSync(join(sandbox.home, ".sky/generated/ssh/c1"), "utf8");
    expect(stanzas).toContain(`HostName ${BEHIND_NAT}\n  User eve\n`);
  });

  test("the same from another machine, through the API server", async () => {
    const { SKYPILOT_API_SERVER_LOCAL_PORT: _, ...local } = sandbox.env();
    const env = { ...local, HOME: remoteHome, SKYPILOT_API_SERVER_ENDPOINT: sandbox.url };
    const status = await sandbox.sky(["status"], { env });
    expect(status.exitCode, status.stderr).toBe(0);
    await fleet.world.setHome(remoteHome);
    try {
      expect(await arriveAtAll(env)).toEqual(everybody);
    } finally {
      await fleet.world.setHome(sandbox.home);
    }
  });

  test("the head's address is the one that users reach", async () => {
    const { stdout } = await sandbox.sky(["status", "--ip", "c1"]);
    const stanzas = readFileSync(join(sandbox.home, ".sky/generated/ssh/c1"), "utf8");
    expect(stanzas).toContain(`Host c1\n  HostName ${stdout.trim()}\n`);
  });

  test("down leaves nothing with any of the users", async () => {
    await sky("down", "-y", "c1");
    for (const host of fleet.hosts) {
      const user = LOGINS[host.name as keyof typeof LOGINS];
      expect(host.readFile(`/home/${user}/.ssh/authorized_keys`)).not.toContain("sky-cluster");
    }
  });
});
