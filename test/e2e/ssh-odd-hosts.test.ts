import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { describeWithFleet } from "../fleet/requirements.ts";
import { installSshUser } from "../fleet/ssh-user.ts";
import { plainText } from "./support/plain-text.ts";
import { Sandbox } from "./support/sandbox.ts";

/** What is not as one would wish for on real machines. */
describeWithFleet("machines that are not as one would wish", () => {
  let fleet: Fleet;
  let sandbox: Sandbox;

  beforeAll(async () => {
    fleet = await Fleet.create();
    sandbox = await Sandbox.create(fleet);
    await fleet.addHosts([
      {
        name: "password",
        sshd: { passwords: true, keys: false, port: 2222 },
        users: [{ name: "ada", password: "correct horse battery" }],
      },
      { name: "gate" },
      { name: "inner" },
      {
        name: "noisy",
        users: [{ name: "dev", bashrc: "echo welcome back; echo careful >&2\n" }],
        sshd: { banner: "Keep out" },
      },
      { name: "dash", users: [{ name: "dev", shell: "/bin/dash", hasProfile: false }], without: ["zstd"] },
      { name: "narrow", sshd: { slowLoginMs: 500, config: { MaxSessions: "1", MaxStartups: "2:100:2" } } },
      { name: "readonly", readOnlyHome: true, without: ["curl", "wget"] },
      { name: "small", diskMib: 60 },
    ]);
    await installSshUser(fleet, { home: sandbox.home, hosts: fleet.hosts, isKnown: false });
    // `inner` is reached through `gate` only.
    const config = join(sandbox.home, ".ssh/config");
    writeFileSync(config, readFileSync(config, "utf8").replace("Host inner\n", "Host inner\n  ProxyJump gate\n"));
    mkdirSync(join(sandbox.home, ".sky"), { recursive: true });
    const pools = `
secret:
  hosts:
    - ip: ${fleet.host("password").address}:2222
      user: ada
`;
    writeFileSync(join(sandbox.home, ".sky/ssh_node_pools.yaml"), pools);
  });

  afterAll(async () => {
    await sandbox?.dispose();
    await fleet?.dispose();
  });

  async function sky(args: readonly string[]) {
    const result = await sandbox.sky(args);
    return { ...result, text: plainText(result.stdout + result.stderr) };
  }

  function pool(yaml: string): void {
    writeFileSync(join(sandbox.home, ".sky/ssh_node_pools.yaml"), yaml);
  }

  test("a password is given to the one host that it is for, and to nobody who looks", async () => {
    const { address } = fleet.host("password");
    const config = join(sandbox.home, ".ssh/config");
    writeFileSync(config, `Host ${address}\n  Port 2222\n${readFileSync(config, "utf8")}`);
    pool(`secret:\n  user: ada\n  password: wrong\n  hosts: [{ip: ${address}, user: ada}]\n`);
    const wrong = await sky(["ssh", "up"]);
    expect(wrong.exitCode).toBe(1);
    expect(wrong.text).toContain("the login as ada was refused");
    expect(wrong.text).toContain("Look at the user and the password.");
    pool(`secret:\n  user: ada\n  password: correct horse battery\n  hosts: [{ip: ${address}, user: ada}]\n`);
    const up = await sky(["ssh", "up"]);
    expect(up.text).toContain("✔ Node Pool `secret` deployed successfully.");
    const launch = await sky(["launch", "-y", "-c", "p", "--infra", "ssh/secret", "id -un; ps -eo args"]);
    expect(launch.text).toMatch(/\) ada\n/u);
    expect(launch.text + wrong.text + up.text).not.toContain("horse");
    const state = join(sandbox.home, ".sky/ts");
    for (const name of readdirSync(state, { recursive: true, encoding: "utf8" })) {
      if (!/sqlite|log|json|conf/u.test(name)) continue;
      expect(readFileSync(join(state, name), "latin1"), name).not.toContain("correct horse");
    }
    expect((await sky(["down", "-y", "p"])).exitCode).toBe(0);
  });

  test("a machine behind another one is reached as ~/.ssh/config says, by the user's ssh too", async () => {
    pool("far:\n  hosts: [inner]\n");
    expect((await sky(["ssh", "up"])).exitCode).toBe(0);
    const launch = await sky(["launch", "-y", "-c", "f", "--infra", "ssh/far", "hostname"]);
    expect(launch.text).toMatch(/\) inner\n/u);
    expect((await sandbox.start(["ssh", "f", "hostname"]).result).stdout).toBe("inner\n");
    expect(readFileSync(join(sandbox.home, ".sky/generated/ssh/f"), "utf8")).toContain(
      "ProxyCommand ssh -o StrictHostKeyChecking=accept-new -W [%h]:%p gate",
    );
    expect((await sky(["down", "-y", "f"])).exitCode).toBe(0);
  });

  test("logins that print, other shells, few sessions and read-only homes do not matter", async () => {
    pool("odd:\n  hosts: [noisy, dash, narrow, readonly]\n");
    const profile = "echo from the profile; echo careful >&2; read -r answer; export PATH=$HOME/own-tools:$PATH\n";
    fleet.host("noisy").writeFile("/home/dev/.profile", profile);
    const up = await sky(["ssh", "up"]);
    expect(up.text).toContain("✔ Node Pool `odd` deployed successfully.");
    const launch = await sky([
      "launch",
      "-y",
      "-c",
      "o",
      "--infra",
      "ssh/odd",
      "--num-nodes",
      "4",
      "echo $(hostname) in $HOME; echo $PATH",
    ]);
    expect(launch.exitCode).toBe(0);
    for (const line of ["/home/dev/own-tools:", "noisy in /home/dev", "dash in /home/dev", "narrow in /home/dev"])
      expect(launch.text).toContain(line);
    expect(launch.text).toMatch(/readonly in \/var\/tmp\/sky-\d+\/nodes\/o-\w+\/home/u);
    expect((await sky(["exec", "o", "--num-nodes", "4", "echo again"])).text.match(/\) again/gu)).toHaveLength(4);
    expect((await sky(["down", "-y", "o"])).exitCode).toBe(0);
  });

  test("what cannot work says why", async () => {
    pool("bad:\n  hosts: [small, nobody.invalid, gate, noisy]\n");
    fleet.host("noisy").writeFile("/home/dev/.profile", "sleep 600\n");
    await fleet.host("gate").killSshd();
    const up = await sky(["ssh", "up"]);
    expect(up.exitCode).toBe(1);
    expect(up.text).toMatch(/✗ small: The disk of small is full: .*(?:No space left on device|Wrote only)/u);
    expect(up.text).toContain(
      "✗ nobody.invalid: Cannot reach nobody.invalid by SSH: the name nobody.invalid is not known.",
    );
    expect(up.text).toContain("✗ noisy: The login's profile on noisy does not come to an end. Commands in ~/.profile");
    expect(up.text).toMatch(/✗ gate: Cannot reach gate by SSH: nothing listens on its SSH port\./u);
    pool("bad:\n  hosts: [gate]\n  usr: ann\n");
    expect((await sky(["ssh", "up"])).text).toMatch(
      /unknown key 'usr': did you mean 'user'\?\.\n\s+at .*ssh_node_pools\.yaml:3/u,
    );
    pool("bad:\n  hosts: [gate]\n");
    expect((await sky(["ssh", "up", "--infra", "nope"])).text).toContain(
      "Cluster 'nope' not found in SSH Node Pools file",
    );
  });
});
