/** Nodes of one cluster log in to each other: by address and by name, without a question, and only within the cluster. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { describeWithFleet } from "../fleet/requirements.ts";
import { installSshUser } from "../fleet/ssh-user.ts";
import { plainText } from "./support/plain-text.ts";
import { Sandbox } from "./support/sandbox.ts";
import { waitFor } from "./support/wait-for.ts";

const BEHIND_NAT = "203.0.113.7";
const OWN_CONFIG = "Host elsewhere\n  User nobody\n";

describeWithFleet("ssh between the nodes of a cluster", () => {
  let fleet: Fleet;
  let sandbox: Sandbox;

  beforeAll(async () => {
    fleet = await Fleet.create();
    sandbox = await Sandbox.create(fleet);
    const hosts = await fleet.addHosts([
      { name: "one" },
      { name: "two", users: [{ name: "eve" }] },
      { name: "three", sshd: { port: 2222 } },
    ]);
    await hosts[1]?.addAddress(BEHIND_NAT);
    for (const host of hosts) host.writeFile("/etc/ssh/ssh_config.d/own.conf", OWN_CONFIG);
    await installSshUser(fleet, { home: sandbox.home, hosts });
    const two = `    - ip: ${BEHIND_NAT}\n      user: eve\n      identity_file: ~/.ssh/id_ed25519\n`;
    await sandbox.startServer();
    writeFileSync(join(sandbox.home, ".sky/ssh_node_pools.yaml"), `rack:\n  hosts:\n    - one\n${two}    - three\n`);
    await sky("ssh", "up");
    await sky("launch", "-y", "-c", "c1", "--infra", "ssh/rack", "--num-nodes", "3", "true");
  });

  afterAll(() => fleet?.dispose());

  async function sky(...args: readonly string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await sandbox.sky(args, { timeoutMs: 120_000 });
    expect(exitCode, `sky ${args.join(" ")}\n${stdout}\n${stderr}`).toBe(0);
    return plainText(stdout);
  }

  /** What a job on all nodes of c1 prints, by rank. */
  async function onEach(script: string): Promise<readonly string[]> {
    const shown = await sky("exec", "c1", "--num-nodes", "3", script);
    return [0, 1, 2].map((rank) => {
      const own = shown.split("\n").filter((line) => line.includes(`, rank=${rank},`));
      return own.map((line) => line.replace(/^\([^)]*\) /u, "")).join("\n");
    });
  }

  const everybody = ["one dev", "three dev", "two eve"];

  test("every rank reaches every node by its address, as the node's own user", async () => {
    const ranks = await onEach(
      'for ip in $SKYPILOT_NODE_IPS; do ssh $ip "echo \\$(hostname) \\$(id -un)"; done </dev/null',
    );
    for (const shown of ranks) expect(shown.split("\n").sort()).toEqual(everybody);
  });

  test("and by the cluster's names, and by the hosts' own", async () => {
    const names = "c1 c1-worker1 c1-worker2 one two three";
    const ranks = await onEach(`for name in ${names}; do ssh -n $name 'echo $(hostname) $(id -un)'; done`);
    for (const shown of ranks) expect(shown.split("\n").sort()).toEqual([...everybody, ...everybody].sort());
  });

  test("from there on to the next one, as launchers of MPI do", async () => {
    const [shown] = await onEach(
      "[ $SKYPILOT_NODE_RANK = 0 ] && ssh -n c1-worker1 ssh -n c1-worker2 ssh -n c1 hostname || true",
    );
    const [head] = await onEach("hostname");
    expect(shown).toBe(head);
  });

  test("files travel by scp and rsync; output, errors and exit codes come back", async () => {
    const script = `[ $SKYPILOT_NODE_RANK = 0 ] || exit 0
      head -c 3000000 /dev/urandom > big && scp -q big c1-worker1:/tmp/copy && rsync c1-worker1:/tmp/copy back && cmp big back && echo same
      ssh -n c1-worker2 'echo out; echo err >&2; exit 7'; echo code $?`;
    const [shown = ""] = await onEach(script);
    expect(shown.split("\n").sort()).toEqual(["code 7", "err", "out", "same"]);
  });

  test("the key is the cluster's alone, closed to others, and opens no sshd of the machines", async () => {
    for (const host of fleet.hosts) {
      const home = `/home/${host.users[0]?.name}`;
      const { stdout: modes } = await host.exec([
        "sh",
        "-c",
        `stat -c '%a %U' ${home}/.sky/nodes/c1-*/agent/inside/key`,
      ]);
      expect(modes).toBe(`600 ${host.users[0]?.name}\n`);
      expect(host.list(`${home}/.ssh`)).toEqual(["authorized_keys"]);
    }
    const refused = await onEach(
      `key=$(ls ~/.sky/nodes/c1-*/agent/inside/key)
       for ip in $SKYPILOT_NODE_IPS; do for port in 22 2222; do
         /usr/bin/ssh -n -F /dev/null -i $key -p $port -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null $ip true && echo "in at $ip"
       done; done; true`,
    );
    for (const shown of refused) {
      expect(shown).toContain("Permission denied (publickey)");
      expect(shown).not.toContain("in at");
    }
    // Neither the machine's configuration nor that of logins that are not the cluster's changes.
    const [other] = await onEach("ssh -nTG elsewhere | grep '^user '");
    expect(other).toBe("user nobody");
  });

  test("a second cluster on the same machines has its own way, and not the first one's", async () => {
    await sky("launch", "-y", "-c", "c2", "--infra", "ssh/rack", "--num-nodes", "2", "true");
    const shown = await sky(
      "exec",
      "c2",
      "ssh -n c2-worker1 'echo in by c2'; ssh -n -o BatchMode=yes c1-worker1 true || echo not to c1",
    );
    expect(shown).toContain("in by c2");
    expect(shown).toContain("not to c1");
    await sky("down", "-y", "c2");
    expect((await onEach("ssh -n c1-worker2 echo still"))[1]).toBe("still");
  });

  test("what was started on another node ends with the cluster, and nothing is left", async () => {
    await onEach(
      "[ $SKYPILOT_NODE_RANK = 0 ] && ssh -n c1-worker1 'setsid sleep 4711 >/dev/null 2>&1 </dev/null &' || true",
    );
    const sleeping = (): number =>
      fleet.hosts.flatMap((host) => host.processes()).filter(({ argv }) => argv.join(" ") === "sleep 4711").length;
    await waitFor("it to run", () => sleeping() === 1);
    await sky("down", "-y", "c1");
    expect(sleeping()).toBe(0);
    for (const host of fleet.hosts) {
      const home = `/home/${host.users[0]?.name}`;
      expect(host.list(`${home}/.sky/nodes`).filter((name) => !name.startsWith("."))).toEqual([]);
      expect(host.list(`${home}/.ssh`)).toEqual(["authorized_keys"]);
      expect(host.readFile(`${home}/.ssh/authorized_keys`)).toBe(readFileSync(`${fleet.keyFile}.pub`, "utf8"));
    }
  });
});
