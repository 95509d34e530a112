import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { describeWithFleet } from "../fleet/requirements.ts";
import { installSshUser } from "../fleet/ssh-user.ts";
import { parseTable, plainText } from "./support/plain-text.ts";
import type { RunResult } from "./support/run-program.ts";
import { Sandbox } from "./support/sandbox.ts";
import { waitFor } from "./support/wait-for.ts";

/** A pool of three machines as its user sees it. */
describeWithFleet("a pool of three machines", () => {
  let fleet: Fleet;
  let sandbox: Sandbox;

  beforeAll(async () => {
    fleet = await Fleet.create();
    sandbox = await Sandbox.create(fleet);
    await fleet.addHosts([{ name: "a" }, { name: "b" }, { name: "c", gpus: ["NVIDIA L4", "NVIDIA L4"] }]);
    await installSshUser(fleet, { home: sandbox.home, hosts: fleet.hosts });
    mkdirSync(join(sandbox.home, ".sky"), { recursive: true });
    writeFileSync(join(sandbox.home, ".sky/ssh_node_pools.yaml"), "lab:\n  hosts: [a, b, c]\n");
  });

  afterAll(async () => {
    await sandbox?.dispose();
    await fleet?.dispose();
  });

  async function sky(args: readonly string[]): Promise<RunResult & { readonly text: string }> {
    const result = await sandbox.sky(args);
    return { ...result, text: plainText(result.stdout + result.stderr) };
  }

  /** A command on a host, as its user. */
  async function on(host: string, script: string): Promise<string> {
    return (await fleet.host(host).exec(["su", "dev", "-c", script])).stdout;
  }

  async function statusOf(cluster: string): Promise<Record<string, string> | undefined> {
    return parseTable((await sky(["status"])).text, "NAME").find((row) => row["NAME"] === cluster);
  }

  test("is set up, and says what each machine has", async () => {
    const before = await sky(["check", "ssh"]);
    expect(before.text).toContain(
      "SSH Node Pools:\n    └── lab: disabled. Reason: Not set up. Use `sky ssh up --infra lab` to set up.\n",
    );
    const up = await sky(["ssh", "up"]);
    expect(up.exitCode).toBe(0);
    expect(up.text).toMatch(/✔ c: \d+ CPUs?, [\d.]+ GiB of memory, 2x L4, \d+ GiB of disk free, Debian .*, x64/u);
    expect(up.text).toContain("✔ Node Pool `lab` deployed successfully.");
    const check = await sky(["check", "ssh", "-v"]);
    expect(check.text).toContain("SSH: enabled [compute]");
    expect(check.text).toContain("  SSH: enabled [compute]\n    SSH Node Pools:\n    └── lab: enabled.\n");
    expect(check.text).toContain("Pool lab: 3 of 3 hosts can be used");
    expect(check.text).toContain("  SSH [compute]\n    SSH Node Pools:\n    └── lab\n");
  });

  test("runs a gang on all three, and again by exec", async () => {
    const script = "echo rank $SKYPILOT_NODE_RANK on $(hostname) in $PWD; echo $SKYPILOT_NODE_IPS";
    const launch = await sky(["launch", "-y", "-c", "c1", "--infra", "ssh/lab", "--num-nodes", "3", script]);
    expect(launch.exitCode).toBe(0);
    for (const [rank, host] of ["a", "b", "c"].entries()) {
      expect(launch.text).toContain(`rank ${rank} on ${host} in /home/dev/sky_workdir`);
    }
    expect(launch.text).toContain("10.77.0.3 10.77.0.4 10.77.0.5");
    const exec = await sky(["exec", "c1", "echo again on $(hostname)"]);
    expect(exec.text).toContain("again on a");
    expect(await statusOf("c1")).toMatchObject({ INFRA: "SSH (lab)", STATUS: "UP" });
    expect((await sky(["queue", "c1"])).text.match(/SUCCEEDED/gu)).toHaveLength(2);
    expect((await sky(["logs", "c1", "1"])).text).toContain("rank 2 on c");
  });

  test("is reached by ssh and rsync under the cluster's name, with a key of the cluster", async () => {
    const run = (script: string): Promise<RunResult> => sandbox.start(["bash", "-c", script]).result;
    expect((await run("ssh c1 hostname")).stdout).toBe("a\n");
    expect((await run("ssh c1-worker2 hostname")).stdout).toBe("c\n");
    writeFileSync(join(sandbox.work, "file"), "content");
    expect((await run("rsync file c1-worker1:/tmp/file")).exitCode).toBe(0);
    expect(await on("b", "cat /tmp/file")).toBe("content");
    const stanza = readFileSync(join(sandbox.home, ".sky/generated/ssh/c1"), "utf8");
    expect(stanza).toContain("IdentityFile ~/.sky/generated/ssh-keys/c1.key");
    expect(stanza).not.toContain("ForwardAgent");
    expect(await on("a", "ls ~/.ssh")).toBe("authorized_keys\n");
  });

  test("cancels a job on every machine", async () => {
    await sky(["exec", "c1", "--num-nodes", "3", "-d", "sleep 1234"]);
    await waitFor("the ranks", async () => (await on("c", "pgrep -xf 'sleep 1234' | wc -l")) === "1\n");
    expect((await sky(["cancel", "-y", "c1", "3"])).exitCode).toBe(0);
    for (const host of ["a", "b", "c"]) expect(await on(host, "pgrep -xf 'sleep 1234' | wc -l")).toBe("0\n");
  });

  test("cannot stop, and says what can be done", async () => {
    const stop = await sky(["stop", "-y", "c1"]);
    expect(stop.exitCode).toBe(1);
    expect(stop.text).toContain("Stopping is currently not supported for ssh.");
    expect(stop.text).toContain("To terminate the cluster instead, run: sky down c1");
    const autostop = await sky(["autostop", "-y", "c1", "-i", "5"]);
    expect(autostop.text).toContain("Autostop is not supported on SSH.");
    expect((await sky(["autostop", "-y", "c1", "-i", "5", "--down"])).exitCode).toBe(0);
    expect(await statusOf("c1")).toMatchObject({ AUTOSTOP: "5m (down)" });
  });

  test("is shared without overbooking", async () => {
    const one = await sky([
      "launch",
      "-y",
      "-c",
      "g1",
      "--infra",
      "ssh/lab",
      "--gpus",
      "L4:1",
      "echo gpu $CUDA_VISIBLE_DEVICES in $HOME",
    ]);
    // The first cluster has the machine's own HOME.
    expect(one.text).toMatch(/gpu 0 in \/home\/dev\/\.sky\/nodes\/g1-\w+\/home/u);
    const [two, three] = await Promise.all(
      ["g2", "g3"].map((name) =>
        sky(["launch", "-y", "-c", name, "--infra", "ssh/lab", "--gpus", "L4:1", "echo gpu $CUDA_VISIBLE_DEVICES"]),
      ),
    );
    expect(new Set([two?.exitCode, three?.exitCode])).toEqual(new Set([0, 1]));
    const [won, lost] = two?.exitCode === 0 ? [two, three] : [three, two];
    expect(won?.text).toContain("gpu 1");
    expect(lost?.text).toMatch(/c: 0 of 2 L4 free \(g1: 1, g[23]: 1\), 1 needed|another cluster was faster/u);
    const never = await sky(["launch", "-y", "-c", "g4", "--infra", "ssh/lab", "--gpus", "H100:1", "true"]);
    expect(never.text).toContain("Did you mean: ['L4:2']");
  });

  test("a second server of the same user does not give out what the first one has", async () => {
    const other = await Sandbox.create(fleet);
    mkdirSync(join(other.home, ".sky"), { recursive: true });
    mkdirSync(join(other.home, ".ssh"), { mode: 0o700 });
    for (const name of ["config", "id_ed25519"]) {
      writeFileSync(join(other.home, ".ssh", name), readFileSync(join(sandbox.home, ".ssh", name)), { mode: 0o600 });
    }
    writeFileSync(join(other.home, ".sky/ssh_node_pools.yaml"), "lab:\n  hosts: [c]\n");
    try {
      const up = await other.sky(["ssh", "up"]);
      expect(plainText(up.stdout)).toMatch(/✔ c: .*; in use by c1, g1, g[23]/u);
      const launch = await other.sky(["launch", "-y", "-c", "mine", "--infra", "ssh/lab", "--gpus", "L4:1", "true"]);
      expect(launch.exitCode).toBe(1);
      expect(plainText(launch.stdout + launch.stderr)).toMatch(/c: 0 of 2 L4 free \(g1: 1, g[23]: 1\), 1 needed/u);
      const down = await other.sky(["ssh", "down"]);
      expect(plainText(down.stderr + down.stdout)).toMatch(/Node Pool lab is in use by c1, g1, g[23]\./u);
    } finally {
      await other.dispose();
    }
  });

  test("goes on after the server was killed", async () => {
    await sky(["exec", "c1", "-d", "sleep 3; echo survived"]);
    await sandbox.killServer();
    const logs = await sky(["logs", "c1"]);
    expect(logs.text).toContain("survived");
  });

  test("a machine that is switched off is named; what runs elsewhere goes on", async () => {
    await fleet.host("b").kill();
    const check = await sky(["check", "ssh"]);
    expect(check.text).toMatch(/lab: enabled\. 1 of 3 hosts cannot be used:\n\s+b: Cannot reach b by SSH: /u);
    const gpus = await sky(["gpus", "list", "--infra", "ssh/lab"]);
    expect(gpus.text).toMatch(/per-node GPU availability \(lab: b: (Cannot reach b by SSH|no answer within 10 s)/u);
    expect(gpus.text).toMatch(/^lab +b +0 of \d+ free +0 of \d+ free .* NotReady/mu);
    expect((await sky(["exec", "c1", "echo still on $(hostname)"])).text).toContain("still on a");
    const down = await sky(["down", "-y", "c1"]);
    expect(down.exitCode).toBe(1);
    expect(down.text).toContain("1 of 3 nodes could not be removed:");
    await fleet.host("b").boot();
    expect((await sky(["down", "-y", "c1"])).exitCode).toBe(0);
    expect(existsSync(join(sandbox.home, ".sky/generated/ssh/c1"))).toBe(false);
  });

  test("takes itself down when it is idle, and its machine is free for others", async () => {
    const winner = (await statusOf("g2")) === undefined ? "g3" : "g2";
    expect((await sky(["down", "-y", winner])).exitCode).toBe(0);
    const launch = await sky(["launch", "-y", "-c", "idle", "--infra", "ssh/lab", "--gpus", "L4:1", "--down", "true"]);
    expect(launch.text).toContain("The cluster will be torn down after 1 minutes of idleness");
    expect(launch.exitCode).toBe(0);
    await waitFor("the cluster to take itself down", async () => (await statusOf("idle")) === undefined, {
      timeoutMs: 120_000,
    });
    expect(await on("c", "ls ~/.sky/nodes")).not.toContain("idle");
  });

  test("leaves nothing but the user's files", async () => {
    await on("a", "touch ~/mine");
    const clusters = parseTable((await sky(["status"])).text, "NAME").map((row) => row["NAME"] ?? "");
    await sky(["down", "-y", ...clusters.filter((name) => /^[gci]/u.test(name))]);
    const down = await sky(["ssh", "down"]);
    expect(down.text).toContain("Node Pool `lab` cleaned up successfully.");
    expect(down.exitCode).toBe(0);
    expect(await on("a", "ls -A ~")).toBe(".bash_logout\n.bashrc\n.profile\n.ssh\nmine\n");
    for (const host of ["a", "b", "c"]) {
      expect(await on(host, "grep -c sky-cluster ~/.ssh/authorized_keys")).toBe("0\n");
      expect(await on(host, "pgrep -fa agent[.]cjs")).toBe("");
    }
  });
});
