/** A job on three hosts: ranks, files, fail-fast, cancel, logs of all ranks, and a node that is lost. */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { describeWithFleet } from "../fleet/requirements.ts";
import { installSshUser } from "../fleet/ssh-user.ts";
import { plainText } from "./support/plain-text.ts";
import { Sandbox } from "./support/sandbox.ts";
import { waitFor } from "./support/wait-for.ts";

describeWithFleet("a gang on hosts", () => {
  let fleet: Fleet;
  let sandbox: Sandbox;

  beforeAll(async () => {
    fleet = await Fleet.create();
    sandbox = await Sandbox.create(fleet);
    await fleet.addHosts([{ name: "one" }, { name: "two" }, { name: "three" }]);
    await installSshUser(fleet, { home: sandbox.home, hosts: fleet.hosts });
    mkdirSync(join(sandbox.home, ".sky"), { recursive: true });
    writeFileSync(join(sandbox.home, ".sky/ssh_node_pools.yaml"), "rack:\n  hosts: [one, two, three]\n");
    expect((await sky("ssh", "up")).exitCode).toBe(0);
    sandbox.write("src/script.sh", "#!/bin/sh\necho $SKYPILOT_NODE_RANK runs\n");
    const launched = await sky(
      "launch",
      "-y",
      "-c",
      "c1",
      "--infra",
      "ssh/rack",
      "--num-nodes",
      "3",
      "--workdir",
      "src",
      RANKS,
    );
    expect(launched.exitCode, launched.output).toBe(0);
    output = launched.output;
  });

  afterAll(() => fleet?.dispose());

  const RANKS = "echo $SKYPILOT_NODE_RANK $(hostname) of $SKYPILOT_NUM_NODES: $SKYPILOT_NODE_IPS; sh script.sh";
  let output = "";

  async function sky(
    ...args: readonly string[]
  ): Promise<{ readonly exitCode: number | null; readonly output: string }> {
    const { exitCode, stdout, stderr } = await sandbox.sky(args);
    return { exitCode, output: `${plainText(stdout)}${plainText(stderr)}` };
  }

  test("ranks know their place and each other, and have the files", () => {
    const lines = output.split("\n").filter((line) => /^\((head|worker\d), rank=\d/.test(line));
    const ranks = lines.filter((line) => line.includes(" of 3: ")).sort();
    expect(ranks.map((line) => /^\((\w+), rank=(\d)/.exec(line)?.slice(1))).toEqual([
      ["head", "0"],
      ["worker1", "1"],
      ["worker2", "2"],
    ]);
    const seen = new Set(ranks.map((line) => line.split(" of 3: ")[1]));
    const [ips = ""] = [...seen];
    expect(seen.size).toBe(1);
    const addresses = ips.split(" ");
    expect([...addresses].sort()).toEqual(fleet.hosts.map((host) => host.address).sort());
    for (const [rank, line] of ranks.entries()) {
      const host = fleet.hosts.find(({ address }) => address === addresses[rank]);
      expect(line).toContain(`${rank} ${host?.name} of 3`);
    }
    expect(lines.filter((line) => line.endsWith(" runs"))).toHaveLength(3);
  });

  test("a failing rank ends the others, and all logs come down", async () => {
    const failed = await sky(
      "exec",
      "c1",
      "--num-nodes",
      "3",
      "if [ $SKYPILOT_NODE_RANK = 1 ]; then exit 7; fi; sleep 300",
    );
    expect(failed.exitCode).toBe(100);
    expect(failed.output).toContain("failed with return code list: [137, 7, 137]");
    expect((await sky("logs", "c1", "1", "--sync-down")).exitCode).toBe(0);
    const root = join(sandbox.home, "sky_logs/c1");
    const tasks = join(root, readdirSync(root).find((name) => name.startsWith("1-")) ?? "", "tasks");
    expect(
      readdirSync(tasks)
        .filter((name) => /^\d-/.test(name))
        .sort(),
    ).toEqual(["0-head.log", "1-worker1.log", "2-worker2.log"]);
    expect(readFileSync(join(tasks, "2-worker2.log"), "utf8")).toContain("2 runs");
  });

  test("cancel ends every rank", async () => {
    await sky("exec", "c1", "-d", "--num-nodes", "3", "sleep 4321");
    const sleeping = async (): Promise<number> => {
      const counts = await Promise.all(fleet.hosts.map((host) => host.exec(["pgrep", "-fc", "^sleep 4321"])));
      return counts.reduce((sum, { stdout }) => sum + Number(stdout), 0);
    };
    await waitFor("three ranks", async () => (await sleeping()) === 3);
    expect((await sky("cancel", "-y", "c1", "-a")).output).toContain("Cancelled job ID(s): 3");
    expect(await sleeping()).toBe(0);
  });

  test("a node that is lost fails the job with its name", async () => {
    const job = sandbox.startSky(["exec", "c1", "--num-nodes", "3", "echo begun; sleep 300"]);
    const ips = /of 3: (\S+) (\S+) (\S+)/.exec(output) ?? [];
    await waitFor("the job to begin", async () =>
      (await sky("logs", "c1", "4", "--no-follow")).output.includes("begun"),
    );
    await fleet.hosts.find(({ address }) => address === ips[3])?.kill();
    const { exitCode, stdout } = await job.result;
    expect(exitCode).toBe(100);
    expect(plainText(stdout)).toMatch(
      new RegExp(`Job 4 failed: node worker2 \\(${ips[3]}\\) has been unreachable for 60 s`),
    );
  });
});
