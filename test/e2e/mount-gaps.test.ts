import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { MountRig } from "../support/s3/mount-rig.ts";
import { rcloneEnv } from "../support/s3/rclone.ts";
import { signalProcess, type ProcessInfo } from "./support/process-tree.ts";
import { waitFor } from "./support/wait-for.ts";

const LONG_MS = 240_000;
const AGENT = /agent\.cjs.*daemon/u;
const RCLONE = /rclone.*:s3:ckpt/u;
/** Writes before, while and after the mount is gone, each when it is told to. */
const WRITER = `
echo 1 > ~/ckpt/one; touch ~/ready
until [ -e ~/gone ]; do sleep 0.1; done
echo 2 > ~/ckpt/two || echo "no second one"
touch ~/tried
until [ -e ~/back ]; do sleep 0.1; done
echo 3 > ~/ckpt/three
`;
const indented = WRITER.trim().replaceAll("\n", "\n  ");

/** What happens at the place of a mount while it is not there, and where several want the same place. */
describeWithFleet("places of mounts", () => {
  let rig: MountRig;

  beforeAll(async () => {
    rig = await MountRig.create([{ name: "a" }]);
    await Promise.all(["ckpt", "other"].map((bucket) => rig.createBucket(bucket)));
    await rig.createBucket("outer", { "y.txt": "outer\n" });
    await rig.createBucket("inner", { "x.txt": "inner\n" });
    rig.extraEnv = rcloneEnv(rig.pool.sandbox);
    await rig.begin();
  });

  afterAll(() => rig?.dispose());

  const host = (): ReturnType<typeof rig.pool.fleet.host> => rig.pool.fleet.host("a");
  const isThere = async (name: string): Promise<boolean> =>
    (await rig.on("a", `ls ~/${name} 2>/dev/null; true`)) !== "";

  /** The program of the mount ends, and nobody puts it up again before `restore`. */
  async function takeAway(processes: () => readonly ProcessInfo[]): Promise<() => void> {
    const agents = processes().filter(({ argv }) => AGENT.test(argv.join(" ")));
    expect(agents).toHaveLength(1);
    for (const { pid } of agents) signalProcess(pid, "SIGSTOP");
    const rclones = (): readonly ProcessInfo[] => processes().filter(({ argv }) => RCLONE.test(argv.join(" ")));
    const [before] = rclones();
    expect(before).toBeDefined();
    signalProcess(before?.pid ?? 0, "SIGTERM");
    const isGone = (): boolean => readFileSync(`/proc/${before?.pid}/cmdline`, "latin1") === "";
    await waitFor("rclone to end", () => !existsSync(`/proc/${before?.pid}`) || isGone());
    return () => {
      for (const { pid } of agents) signalProcess(pid, "SIGCONT");
    };
  }

  it("nothing can be written to while they are gone", { timeout: LONG_MS }, async () => {
    const yaml = `resources: {infra: ssh/rack}\nfile_mounts: {~/ckpt: {source: s3://ckpt}}\nrun: |\n  ${indented}\n`;
    const launched = rig.launch("c", yaml);
    await waitFor("the job", () => isThere("ready"));
    const restore = await takeAway(() => host().processes());
    await rig.on("a", "touch ~/gone");
    await waitFor("the second file", () => isThere("tried"));
    restore();
    await waitFor("the mount", async () => (await rig.on("a", "grep rclone /proc/mounts; true")) !== "");
    await rig.on("a", "touch ~/back");
    expect(await launched).toContain(") no second one\n");
    expect(await rig.keysOf("ckpt")).toEqual(["one", "three"]);
    await rig.sky("down", "-y", "c");
  });

  it("what root writes there all the same is set aside, and the job is no success", { timeout: LONG_MS }, async () => {
    const { sandbox } = rig.pool;
    const yaml = `resources: {infra: local}\nfile_mounts: {~/ckpt: {source: s3://ckpt/root}}\nrun: |\n  ${indented}\n`;
    const launched = rig.sky("launch", "-y", "-c", "r", sandbox.write("r.yaml", yaml));
    const home = (): string => {
      const local = join(sandbox.home, ".sky/local");
      const [node = ""] = existsSync(local) ? readdirSync(local).filter((name) => name.startsWith("r-")) : [];
      return join(local, node, "node0/home");
    };
    await waitFor("the job", () => existsSync(join(home(), "ready")));
    const restore = await takeAway(() => sandbox.processes());
    writeFileSync(join(home(), "gone"), "");
    await waitFor("the second file", () => existsSync(join(home(), "tried")));
    restore();
    await waitFor("the mount", () => sandbox.processes().some(({ argv }) => RCLONE.test(argv.join(" "))));
    const aside = join(home(), "ckpt.while-unmounted");
    await waitFor("what was written", () => existsSync(join(aside, "two")));
    const status = async (): Promise<string> => (await rig.sky("status", "-v", "r")).text;
    await waitFor("the mount to be up", async () => !(await status()).includes("not mounted"));
    writeFileSync(join(home(), "back"), "");
    const { text, exitCode } = await launched;
    expect(exitCode, text).toBe(100);
    const lost =
      "Files were written to ~/ckpt while it was not mounted. They are not in s3://ckpt/root, but in ~/ckpt.while-unmounted on the node.";
    expect(text).toContain(lost);
    expect(readFileSync(join(aside, "two"), "utf8")).toBe("2\n");
    expect((await rig.sky("down", "-y", "r")).text).toContain(lost);
  });

  it("that lie in one another come back after a power cut", { timeout: LONG_MS }, async () => {
    const mounts = "{~/data: {source: s3://outer}, ~/data/in: {source: s3://inner}}";
    const run = "run: cat ~/data/y.txt ~/data/in/x.txt; echo new > ~/data/in/new.txt";
    const yaml = `resources: {infra: ssh/rack}\nfile_mounts: ${mounts}\n${run}\n`;
    const refused = await rig.sky("launch", "-y", "-c", "n", rig.pool.sandbox.write("n.yaml", yaml));
    expect(refused.text).toContain("~/data/in lies in the mount of ~/data, where this user may not mount.");
    expect((await rig.sky("down", "-y", "n")).exitCode).toBe(0);
    await host().exec(["sh", "-c", "echo user_allow_other >> /etc/fuse.conf"]);
    await rig.launch("n", yaml);
    // Nobody else gets in for all that, but root.
    const others = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    const node = (await rig.on("a", "readlink -f ~/data")).trim();
    expect((await host().exec([...others, "ls", node])).exitCode).not.toBe(0);
    expect((await host().exec([...others, "cat", `${node}/y.txt`])).exitCode).not.toBe(0);
    expect(await host().exec(["cat", `${node}/y.txt`])).toMatchObject({ stdout: "outer\n", stderr: "" });
    for (let round = 1; round <= 2; round += 1) {
      await host().reboot({ isHard: true });
      await waitFor("the agent", async () => {
        await rig.sky("status", "-r", "n");
        return host()
          .processes()
          .some(({ argv }) => AGENT.test(argv.join(" ")));
      });
      const { text } = await rig.sky("exec", "n", "cat ~/data/y.txt ~/data/in/x.txt ~/data/in/new.txt");
      expect(text).toMatch(/\) outer\n.*\) inner\n.*\) new\n/u);
    }
    await rig.sky("down", "-y", "n");
    expect(await rig.keysOf("outer")).toEqual(["y.txt"]);
    expect(await rig.keysOf("inner")).toEqual(["new.txt", "x.txt"]);
  });

  it("are refused where another cluster has a mount", { timeout: LONG_MS }, async () => {
    const yaml = (bucket: string): string =>
      `resources: {infra: ssh/rack, cpus: 1}\nfile_mounts: {/tmp/shared: {source: s3://${bucket}}}\nrun: ls /tmp/shared\n`;
    expect(await rig.launch("one", yaml("outer"))).toContain(") y.txt\n");
    const file = rig.pool.sandbox.write("two.yaml", yaml("inner"));
    const refused = await rig.sky("launch", "-y", "-c", "two", file);
    expect(refused.exitCode).toBe(1);
    expect(refused.text).toContain("Something else is mounted at /tmp/shared on the node already.");
    expect((await rig.sky("down", "-y", "two")).exitCode).toBe(0);
    expect((await rig.sky("exec", "one", "ls /tmp/shared")).text).toContain(") y.txt\n");
    await rig.sky("down", "-y", "one");
  });

  it(
    "lose nothing that a job could write while a launch mounts them in another way",
    { timeout: LONG_MS },
    async () => {
      const task = (transfers: number): string =>
        `resources: {infra: ssh/rack}\nfile_mounts: {~/ckpt: {source: s3://other, mode: MOUNT_CACHED, config: {mount_cached: {transfers: ${transfers}}}}}\nrun: ls ~/ckpt\n`;
      await rig.launch("w", task(1));
      const write =
        'i=0; until [ -e ~/enough ]; do i=$((i+1)); (echo $i > ~/ckpt/f$i) 2>/dev/null && echo "wrote f$i"; sleep 0.02; done';
      const job = await rig.sky("exec", "-d", "w", `${write}; true`);
      expect(job.exitCode, job.text).toBe(0);
      const hasSome = async (): Promise<boolean> => (await rig.keysOf("other")).length > 3;
      await waitFor("files", hasSome);
      const again = await rig.sky("launch", "-d", "-y", "-c", "w", rig.pool.sandbox.write("w.yaml", task(2)));
      expect(again.exitCode, again.text).toBe(0);
      await rig.on("a", "touch ~/enough");
      const { text } = await rig.sky("logs", "w", "2");
      expect(text).toContain("Job finished");
      const wrote = [...text.matchAll(/\) wrote (f\d+)$/gmu)].map(([, name = ""]) => name);
      expect(wrote.length).toBeGreaterThan(3);
      const there = new Set(await rig.keysOf("other"));
      const missing = wrote.filter((name) => !there.has(name));
      // What is written in the very moment in which the new mount comes up is beside it, and the job is no success.
      const aside = await rig.on("a", "ls ~/ckpt.while-unmounted 2>/dev/null; true");
      expect(missing.filter((name) => !aside.split("\n").includes(name))).toEqual([]);
      expect(text.includes("while it was not mounted")).toBe(missing.length > 0);
      await rig.sky("down", "-y", "w");
    },
  );
});
