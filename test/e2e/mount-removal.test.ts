import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { hiddenMount } from "../support/s3/hidden-mount.ts";
import { MountRig } from "../support/s3/mount-rig.ts";

const TASK = `
resources: {infra: ssh/rack}
file_mounts:
  ~/data: {source: s3://data}
run: cat ~/data/a.txt; mkdir -p ~/sky_workdir/below
`;
const LONG_MS = 120_000;

/** Whatever is mounted in a node's directories, and whoever has done that: what removes the directories stays out of it. */
describeWithFleet("directories of nodes with mounts in them", () => {
  let rig: MountRig;

  beforeAll(async () => {
    rig = await MountRig.create([{ name: "a" }]);
    await rig.createBucket("data", { "a.txt": "one\n" });
    await rig.createBucket("precious", { "kept.txt": "kept\n", "deep/er.txt": "er\n" });
    await rig.begin();
    await rig.pool.fleet.host("a").exec(["sh", "-c", "echo user_allow_other >> /etc/fuse.conf"]);
  });

  afterAll(() => rig?.dispose());

  async function mountHidden(path: string, user?: string): Promise<void> {
    const host = rig.pool.fleet.host("a");
    const command = hiddenMount("precious", path, { endpoint: rig.front.url });
    const { exitCode, stderr } = await host.exec(command, user === undefined ? {} : { user });
    expect(exitCode, stderr).toBe(0);
    expect(await rig.on("a", `cat ${path}/kept.txt`)).toBe("kept\n");
  }

  async function expectIntact(): Promise<void> {
    expect(await rig.keysOf("precious")).toEqual(["deep/er.txt", "kept.txt"]);
    expect(await rig.keysOf("data")).toEqual(["a.txt"]);
  }

  const mounts = (): Promise<string> => rig.on("a", "grep fuse.rclone /proc/mounts | cut -d' ' -f2; true");

  async function node(): Promise<string> {
    return (await rig.on("a", "dirname $(find / -name mounts.json -path '*nodes*' 2>/dev/null | head -1)")).trim();
  }

  it("`sky down` takes them away, also where it does not know of them", { timeout: LONG_MS }, async () => {
    await rig.launch("c", TASK);
    const folder = await node();
    await rig.on("a", `mkdir ${folder}/mine`);
    await mountHidden(`${folder}/mine`, "dev");
    await mountHidden("/home/dev/sky_workdir/below", "dev");
    const { text, exitCode } = await rig.sky("down", "-y", "c");
    expect(exitCode, text).toBe(0);
    expect(await mounts()).toBe("");
    await expectIntact();
    expect(await rig.on("a", "ls -A ~ | grep -v '^[.]'; true")).toBe("");
  });

  it("one that cannot be taken away is named, and nothing is removed", { timeout: LONG_MS }, async () => {
    await rig.launch("c", TASK);
    await mountHidden("/home/dev/sky_workdir/below");
    const refused = await rig.sky("down", "-y", "c");
    expect(refused.exitCode).toBe(1);
    expect(refused.text).toContain(
      "/home/dev/sky_workdir/below is still mounted, so /home/dev/sky_workdir is not removed.",
    );
    expect(refused.text).toContain("Take it away by hand: sudo umount -l /home/dev/sky_workdir/below");
    await expectIntact();
    await rig.pool.fleet.host("a").exec(["umount", "-l", "/home/dev/sky_workdir/below"]);
    const { text, exitCode } = await rig.sky("down", "-y", "c");
    expect(exitCode, text).toBe(0);
    await expectIntact();
  });

  it("agent and rclone that hang hold nothing up", { timeout: LONG_MS }, async () => {
    await rig.launch("c", TASK);
    const host = rig.pool.fleet.host("a");
    expect(host.signal(/rclone.*:s3:data/u, "SIGSTOP")).toBe(1);
    expect(host.signal(/agent\.cjs.*daemon/u, "SIGSTOP")).toBe(1);
    const { text, exitCode } = await rig.sky("down", "-y", "c");
    expect(exitCode, text).toBe(0);
    expect(await mounts()).toBe("");
    await expectIntact();
  });

  it("`sky ssh down` does not reach through them either", { timeout: LONG_MS }, async () => {
    await rig.sky("ssh", "up");
    const base = (
      await rig.on("a", "dirname $(dirname $(find / -path '*/agent/*/agent.cjs' 2>/dev/null | head -1))")
    ).trim();
    const nodes = `${base.replace(/\/agent$/u, "")}/nodes`;
    await rig.on("a", `mkdir -p '${nodes}/left/my data' ${nodes}/other`);
    await mountHidden(`${nodes}/other`);
    const refused = await rig.sky("ssh", "down");
    expect(refused.text).toContain(
      `${nodes}/other is still mounted. Take it away by hand: sudo umount -l ${nodes}/other`,
    );
    expect(refused.exitCode).toBe(1);
    await rig.pool.fleet.host("a").exec(["umount", "-l", `${nodes}/other`]);
    const command = hiddenMount("precious", `${nodes}/left/my data`, { endpoint: rig.front.url });
    expect((await rig.pool.fleet.host("a").exec(command, { user: "dev" })).exitCode).toBe(0);
    const { text, exitCode } = await rig.sky("ssh", "down");
    expect(exitCode, text).toBe(0);
    expect(await mounts()).toBe("");
    await expectIntact();
  });
});
