/** `ssh`, `scp`, `rsync` and forwarded ports by a cluster's names: on the server's machine, and from another one through the API server. */
import { mkdirSync, readFileSync, readdirSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { describeWithFleet } from "../fleet/requirements.ts";
import { installSshUser } from "../fleet/ssh-user.ts";
import { plainText } from "./support/plain-text.ts";
import { findReference } from "./support/reference.ts";
import { runProgram, type RunResult } from "./support/run-program.ts";
import { OfficialClient, Sandbox } from "./support/sandbox.ts";
import { sshOfClient } from "./support/ssh-of-client.ts";
import { waitFor } from "./support/wait-for.ts";

describeWithFleet("ssh to a cluster", () => {
  let fleet: Fleet;
  let sandbox: Sandbox;
  /** HOME of a client that takes the server for one on another machine. */
  let remoteHome: string;

  beforeAll(async () => {
    fleet = await Fleet.create();
    sandbox = await Sandbox.create(fleet);
    remoteHome = join(sandbox.root, "remote-home");
    mkdirSync(remoteHome);
    await fleet.addHosts([{ name: "one" }, { name: "two" }]);
    await installSshUser(fleet, { home: sandbox.home, hosts: fleet.hosts });
    mkdirSync(join(sandbox.home, ".sky"), { recursive: true });
    writeFileSync(join(sandbox.home, ".sky/ssh_node_pools.yaml"), "rack:\n  hosts: [one, two]\n");
    await ok(["sky", "ssh", "up"]);
    await ok(["sky", "launch", "-y", "-c", "c1", "--infra", "ssh/rack", "--num-nodes", "2", "echo up"]);
  });

  afterAll(() => fleet?.dispose());

  const remoteEnv = (): Record<string, string> => {
    const { SKYPILOT_API_SERVER_LOCAL_PORT: _, ...env } = sandbox.env({
      HOME: remoteHome,
      SKYPILOT_API_SERVER_ENDPOINT: sandbox.url,
    });
    return env;
  };

  /** Runs `sky` or another program as the client; the account's home is what ssh takes for HOME. */
  async function run(argv: readonly string[], env = sandbox.env()): Promise<RunResult> {
    const [program = "", ...args] = argv;
    const result = program === "sky" ? sandbox.sky(args, { env }) : sandbox.start(argv, { env }).result;
    const { stdout, stderr, ...rest } = await result;
    return { ...rest, stdout: plainText(stdout), stderr: plainText(stderr) };
  }

  async function ok(argv: readonly string[], env = sandbox.env()): Promise<string> {
    const { exitCode, stdout, stderr } = await run(argv, env);
    expect(exitCode, `${argv.join(" ")}\n${stdout}\n${stderr}`).toBe(0);
    return stdout;
  }

  const generated = (home: string): string[] => readdirSync(join(home, ".sky/generated/ssh"));

  /** What a user does by the cluster's names. */
  async function useNames(env: Record<string, string>): Promise<void> {
    expect(await ok(["ssh", "c1", "hostname; id -un; ls ~/.ssh"], env)).toMatch(/^(one|two)\ndev\n/);
    expect((await run(["ssh", "c1-worker1", "exit 3"], env)).exitCode).toBe(3);
    const names = [await ok(["ssh", "c1", "hostname"], env), await ok(["ssh", "c1-worker1", "hostname"], env)];
    expect(names.sort()).toEqual(["one\n", "two\n"]);
    expect(await ok(["ssh", "-tt", "c1", "test -t 0 && echo terminal"], env)).toContain("terminal");
    expect(await ok(["ssh", "c1", "echo ${SSH_AUTH_SOCK-no agent}"], env)).toBe("no agent\n");
    const big = join(sandbox.work, "big");
    writeFileSync(big, Buffer.alloc(3_000_000, "0123456789"));
    await ok(["scp", "-q", big, "c1-worker1:copy"], env);
    await ok(["rsync", "c1-worker1:copy", join(sandbox.work, "back")], env);
    expect(readFileSync(join(sandbox.work, "back"))).toEqual(readFileSync(big));
    const port = String(20_000 + Math.floor(Math.random() * 10_000));
    const forward = sandbox.start(["ssh", "-N", "-L", `${port}:127.0.0.1:22`, "c1-worker1"], { env });
    const banner = `exec 3<>/dev/tcp/127.0.0.1/${port} && head -c 7 <&3`;
    await waitFor("the forwarded port", async () => (await run(["bash", "-c", banner])).stdout === "SSH-2.0");
    forward.kill("SIGTERM");
    await forward.result;
  }

  test("on the server's machine it goes the way of the pool", async () => {
    expect(generated(sandbox.home)).toEqual(["c1"]);
    expect(readFileSync(join(sandbox.home, ".sky/generated/ssh/c1"), "utf8")).not.toContain("ssh-proxy");
    await useNames(sandbox.env());
  });

  test("from another machine it goes through the API server", async () => {
    await ok(["sky", "status"], remoteEnv());
    const stanzas = readFileSync(join(remoteHome, ".sky/generated/ssh/c1"), "utf8");
    expect(stanzas.match(/ProxyCommand .* ssh-proxy --endpoint \S+ c1 [01]$/gm)).toHaveLength(2);
    await fleet.world.setHome(remoteHome);
    try {
      await useNames(remoteEnv());
    } finally {
      await fleet.world.setHome(sandbox.home);
    }
  });

  test("what the server has against it is said, and no other key gets in", async () => {
    const proxy = (...args: readonly string[]): Promise<RunResult> => run(["sky", "ssh-proxy", ...args], remoteEnv());
    expect(await proxy("nope")).toMatchObject({ exitCode: 1, stderr: "error: Cluster 'nope' does not exist.\n" });
    expect(await proxy("c1", "7")).toMatchObject({ exitCode: 1, stderr: "error: Cluster 'c1' has no node 7.\n" });
    const command = `ProxyCommand=${process.execPath} ${join(import.meta.dirname, "../../bin/sky.cjs")} ssh-proxy c1`;
    const options = ["-o", command, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"];
    // The key that opens the host itself is none of the cluster's.
    const own = ["-F", "/dev/null", "-i", fleet.keyFile, "-o", "IdentitiesOnly=yes"];
    const { exitCode, stderr } = await run(["ssh", ...own, ...options, "dev@c1", "true"], remoteEnv());
    expect(exitCode).toBe(255);
    expect(stderr).toContain("Permission denied (publickey)");
  });

  const reference = findReference();
  test.skipIf(reference === undefined)("the official client's own proxy gets through too", async () => {
    if (reference === undefined) return;
    const official = new OfficialClient(sandbox, reference, { remote: true });
    // Its Python may lie in the account's home, which is another one in the fleet's world.
    const options = { env: official.env(), cwd: sandbox.work };
    const status = await runProgram(fleet.world.enterNetwork([reference.sky, "status", "-u", "c1"]), options);
    expect(status.exitCode, status.stderr).toBe(0);
    const config = join(official.home, ".sky/generated/ssh/c1");
    expect(readFileSync(config, "utf8")).toContain("kubernetes-pod-ssh-proxy");
    // It logs in to the head through the server, and from there to the node.
    for (const name of ["c1", "c1-worker1"]) {
      const { stdout, stderr } = await sshOfClient({ fleet, sandbox, client: official }, [name, "id -un"]);
      expect(stdout, stderr).toBe("dev\n");
    }
  });

  test("down takes the names away, here and, with the next look, elsewhere", async () => {
    await ok(["sky", "down", "-y", "c1"]);
    expect(generated(sandbox.home)).toEqual([]);
    await ok(["sky", "status"], remoteEnv());
    expect(generated(remoteHome)).toEqual([]);
    expect(existsSync(join(remoteHome, ".sky/generated/ssh-keys/c1.key"))).toBe(false);
    for (const host of fleet.hosts) {
      const { stdout } = await host.exec(["sh", "-c", "cat /home/dev/.ssh/authorized_keys; ls /home/dev"]);
      expect(stdout).not.toContain("c1-");
    }
  });
});
