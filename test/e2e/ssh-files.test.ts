import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, statSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Host } from "../fleet/host.ts";
import { describeWithFleet } from "../fleet/requirements.ts";
import { createSshPool, type SshPool } from "../fleet/ssh-pool.ts";
import { plainText } from "./support/plain-text.ts";
import { expectRefusal } from "./support/refusal.ts";
import type { RunResult } from "./support/run-program.ts";
import { waitFor } from "./support/wait-for.ts";

const MIB = 1024 * 1024;
const SLOW = 240_000;

/** One line for everything in the working directory: names, kinds, modes, targets of links, contents. */
const DIGEST =
  "{ find . -mindepth 1 -printf '%P %y %m %l\\0' | LC_ALL=C sort -z; find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum; } | sha256sum";

/** Empties the working directory of nodes. */
const CLEAR = "chmod -R u+w ~/sky_workdir && find ~/sky_workdir -mindepth 1 -delete";

describeWithFleet("files to machines that are reached by SSH", () => {
  let pool: SshPool;
  let head: Host;
  let tiny: Host;

  beforeAll(async () => {
    pool = await createSshPool([
      { name: "head" },
      { name: "worker" },
      // Chosen by the GPU that it seems to have.
      { name: "tiny", gpus: ["NVIDIA L4"], diskMib: 500 },
    ]);
    [head, , tiny] = pool.hosts as [Host, Host, Host];
    await pool.sandbox.startServer();
    await sky("ssh", "up");
    await sky("launch", "-y", "-c", "c", "--infra", "ssh/rack", "--num-nodes", "2", "--cpus", "1+", "true");
  }, SLOW);

  afterAll(async () => {
    await pool?.dispose();
  });

  async function run(...args: readonly string[]): Promise<RunResult & { readonly text: string }> {
    const result = await pool.sandbox.sky(args, { timeoutMs: SLOW });
    return { ...result, text: plainText(result.stdout + result.stderr) };
  }

  async function sky(...args: readonly string[]): Promise<string> {
    const { text, exitCode } = await run(...args);
    if (exitCode !== 0) throw new Error(`sky ${args.join(" ")}\n${text}`);
    return text;
  }

  const write = (path: string, content: string | Uint8Array = path, mode = 0o644): void => {
    const absolute = pool.sandbox.write(path, "");
    writeFileSync(absolute, content);
    chmodSync(absolute, mode);
  };
  const at = (path: string): string => join(pool.sandbox.work, path);
  const toBoth = (workdir: string, script: string): Promise<string> =>
    sky("exec", "c", "--num-nodes", "2", "--workdir", workdir, script);

  /** What the script says in the directory on this machine. */
  async function here(directory: string, script: string): Promise<string> {
    const result = await pool.sandbox.start(["bash", "-c", `cd ${directory} && ${script}`]).result;
    return result.stdout.trim();
  }

  test(
    "10,000 small files, odd names, modes and links arrive on all nodes as they are",
    { timeout: SLOW },
    async () => {
      for (let index = 0; index < 10_000; index += 1) write(`many/d${index % 100}/f${index}`, `${index} `.repeat(300));
      write("many/run.sh", "#!/bin/sh\n", 0o755);
      write("many/secret", "s", 0o600);
      write("many/set-group", "g", 0o2755);
      write("many/-rf *", "dash");
      write("many/ünïcode 'n\new\"line", "odd");
      write("many/closed/read-only", "r", 0o444);
      mkdirSync(at("many/empty"));
      symlinkSync("run.sh", at("many/inside"));
      symlinkSync("/etc/passwd", at("many/outside"));
      symlinkSync("nowhere", at("many/broken"));
      chmodSync(at("many/closed"), 0o555);
      const digest = await here("many", DIGEST);
      expect((await toBoth("many", DIGEST)).split(digest)).toHaveLength(3);
      write("many/d7/f7", "changed");
      const changed = await here("many", DIGEST);
      expect((await toBoth("many", DIGEST)).split(changed)).toHaveLength(3);
      chmodSync(at("many/closed"), 0o755);
    },
  );

  test("ignore files decide what is sent: git's, and instead of them .skyignore", async () => {
    for (const path of ["a.log", "keep.log", "sub/b.log", "sub/c.txt", "build/out", ".git/HEAD"]) write(`code/${path}`);
    write("code/.gitignore", "*.log\n!keep.log\nbuild/\n");
    write("code/sub/.gitignore", "c.txt\n");
    const list = "echo $(find . -type f | LC_ALL=C sort)";
    await sky("exec", "c", "--num-nodes", "2", CLEAR);
    expect(await toBoth("code", list)).toContain(") ./.git/HEAD ./.gitignore ./keep.log ./sub/.gitignore\n");
    write("code/.skyignore", "/sub\nkeep.log\n.git*\n");
    await sky("exec", "c", "--num-nodes", "2", CLEAR);
    expect(await toBoth("code", list)).toContain(") ./.skyignore ./a.log ./build/out\n");
  });

  test("a file goes to a file, a directory's content to a directory, wherever; links outside of HOME go with the cluster", async () => {
    write("src/one.txt", "one");
    write("src/sub/two.txt", "two");
    const mounts = [
      "~/file.txt: ./src/one.txt",
      "~/plain: ./src",
      "~/sky_workdir/nested/deep: ./src/sub",
      "~/.config/tool/x: ./src/one.txt",
      "/tmp/of-the-task: ./src",
      "/opt/of-the-task/data: ./src",
      "/opt/single.txt: ./src/one.txt",
    ];
    const paths = "~/file.txt ~/plain/sub/two.txt nested/deep/two.txt ~/.config/tool/x /tmp/of-the-task/one.txt";
    const links = "/opt/of-the-task/data/sub/two.txt /opt/single.txt";
    const name = "mounts.yaml";
    const yaml = `workdir: ./code\nnum_nodes: 2\nfile_mounts:\n  ${mounts.join("\n  ")}\nrun: cat ${paths} ${links}; ls .skyignore\n`;
    pool.sandbox.write(name, yaml);
    const onHosts = async (script: string): Promise<readonly string[]> =>
      Promise.all(pool.hosts.map(async (host) => (await host.exec(["bash", "-c", script])).stdout.trim()));
    const list = "cd /opt; echo $(find . | sort)";
    await onHosts("chmod 777 /opt; touch /opt/theirs");
    const text = await sky("launch", "-y", "-c", "m", "--infra", "ssh/rack", "--cpus", "1+", name);
    expect(text.match(/\) onetwotwooneonetwoone\.skyignore$/gmu)).toHaveLength(2);
    const own = ". ./of-the-task ./of-the-task/data ./single.txt ./theirs";
    expect((await onHosts(list)).toSorted()).toEqual([own, own, ". ./theirs"]);
    await sky("down", "-y", "m");
    expect(new Set(await onHosts(list))).toEqual(new Set([". ./theirs"]));
  });

  test("what leads out of HOME or lies in the way is refused, with the place", async () => {
    const mount = async (dest: string): Promise<RunResult> => {
      const task = `num_nodes: 2\nfile_mounts:\n  ${dest}: ./src\nrun: ls\n`;
      return run("launch", "-y", "-c", "c", pool.sandbox.write("bad.yaml", task));
    };
    expectRefusal(await mount("/opt"), {
      exitCode: 1,
      message: "On head: !!! Failed mounting because path exists (/opt)",
      hint: "Remove it on the node, or mount to another path.",
    });
    const escaping = await mount("~/../elsewhere");
    expect(escaping.exitCode).toBe(1);
    expect(escaping.stdout + escaping.stderr).toContain("~/../elsewhere");
    // Owned by root; the machine is shared, so sudo is not tried.
    const denied = await mount("/usr/local/of-the-task");
    expect(denied.stdout + denied.stderr).toContain(
      "On head: This user may not make /usr/local/of-the-task on the node.",
    );
  });

  test("a disk that is too small is said before anything is sent, and nothing is left on it", async () => {
    write("huge/sparse", "");
    truncateSync(at("huge/sparse"), 900 * MIB);
    const args = ["launch", "-y", "-c", "t", "--infra", "ssh/rack", "--gpus", "L4:1", "--workdir", "huge", "true"];
    expectRefusal(await run(...args), {
      exitCode: 1,
      message: "No space is left on the node for ~/sky_workdir: it needs 900 MiB more, and ",
      hint: "Free space on the node's disk",
    });
    expect((await tiny.exec(["find", "/home", "-name", "*sparse*"])).stdout).toBe("");
    await sky("down", "-y", "t");
  });

  test(
    "one file of 2 GB goes on where the connection, and then the server, was lost",
    { timeout: 2 * SLOW },
    async () => {
      // Blocks that cannot be made smaller; one after the other they repeat, which makes the file quickly.
      const block = randomBytes(64 * MIB);
      write("big/model.bin", block);
      await here("big", "for n in $(seq 31); do head -c 64M model.bin >> more; done; cat more >> model.bin; rm more");
      const { size } = statSync(at("big/model.bin"));
      expect(size).toBe(2048 * MIB);
      const sum = await here("big", "sha256sum model.bin");
      const received = async (): Promise<number> =>
        Number((await head.exec(["bash", "-c", "cat /sys/class/net/eth0/statistics/rx_bytes"])).stdout);
      const partBytes = async (): Promise<number> =>
        Number((await head.exec(["bash", "-c", "find /home -name '.model.bin.*.sky-part' -printf '%s\\n'"])).stdout);
      const reaches = (mib: number): Promise<true> =>
        waitFor(`${mib} MiB to have arrived`, async () => (await partBytes()) >= mib * MIB, { timeoutMs: SLOW });
      const before = await received();
      const launched = run("exec", "c", "--workdir", "big", "sha256sum model.bin");
      await reaches(600);
      await head.killSshd({ sessions: true });
      await delay(300);
      const kept = await partBytes();
      await head.startSshd();
      await reaches(1300);
      await pool.sandbox.killServer();
      await pool.sandbox.startServer();
      const { text, exitCode } = await launched;
      expect(exitCode, text).toBe(0);
      expect(text).toContain(`) ${sum}`);
      expect(kept).toBeGreaterThanOrEqual(600 * MIB);
      const sent = (await received()) - before;
      // Each cut costs what was under way and less than one step of 8 MiB; the rest is SSH and TCP.
      expect(sent).toBeGreaterThan(size);
      expect(sent).toBeLessThan(1.05 * size);
      expect(await partBytes()).toBe(0);
    },
  );
});
