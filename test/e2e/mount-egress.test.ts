import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { MountRig } from "../support/s3/mount-rig.ts";
import { serveRclone, type RcloneArchive } from "../support/s3/rclone-archive.ts";
import { expectRefusal } from "./support/refusal.ts";

const LONG_MS = 120_000;
const without = ["rclone"];
const task = (numNodes: number): string => `
resources: {infra: ssh/rack, cpus: 1}
num_nodes: ${numNodes}
file_mounts:
  ~/data: {source: s3://data}
run: cat ~/data/a.txt; echo $SKYPILOT_NODE_RANK > ~/data/rank-$SKYPILOT_NODE_RANK
`;

/** rclone reaches nodes that have none: from the web, or over the connection. */
describeWithFleet("nodes without rclone", () => {
  let rig: MountRig;
  let archive: RcloneArchive;

  beforeAll(async () => {
    rig = await MountRig.create([
      { name: "shut", without },
      { name: "open", without, egress: "open" },
      { name: "silent", without, egress: "silent" },
    ]);
    await rig.createBucket("data", { "a.txt": "one\n" });
    archive = await serveRclone(rig.pool.fleet);
    const other = { ...archive.pin, arch: "arm64", url: archive.pin.url.replace("rclone-test", "rclone-other") };
    rig.extraEnv = { SKYPILOT_RCLONE_PINS: rig.pool.sandbox.write("pins.json", JSON.stringify([archive.pin, other])) };
    await rig.begin();
  });

  afterAll(async () => {
    archive?.stop();
    await rig?.dispose();
  });

  const serverAddress = "198.51.100.1";
  const cached = (): string => join(rig.pool.sandbox.home, ".sky/ts/runtimes/rclone-test.zip");

  it("fetch it, or get it over the connection where there is no way out", { timeout: LONG_MS }, async () => {
    const text = await rig.launch("c", task(3));
    expect(text).toContain(`  Sending rclone ${archive.pin.version} to nodes that cannot fetch it: rclone-test.zip\n`);
    expect(text.match(/\) one$/gmu)).toHaveLength(3);
    expect(await rig.keysOf("data")).toEqual(["a.txt", "rank-0", "rank-1", "rank-2"]);
    const open = rig.pool.fleet.host("open").address;
    expect(archive.askers().toSorted()).toEqual([open, serverAddress].toSorted());
    for (const host of ["shut", "open", "silent"]) {
      expect(await rig.on(host, "which rclone; ls ~/.sky/agent | grep rclone")).toMatch(/^rclone-[0-9a-f]{16}\n$/u);
    }
    expect((await rig.sky("down", "-y", "c")).exitCode).toBe(0);
  });

  it("keep it for the next cluster", { timeout: LONG_MS }, async () => {
    const before = archive.askers().length;
    expect(await rig.launch("again", task(1))).not.toContain("Sending rclone");
    expect(archive.askers()).toHaveLength(before);
    expect((await rig.sky("down", "-y", "again")).exitCode).toBe(0);
  });

  it("say what to do where neither node nor server can have it", { timeout: LONG_MS }, async () => {
    for (const host of ["shut", "open", "silent"]) await rig.on(host, "rm ~/.sky/agent/rclone-*");
    writeFileSync(cached(), "damaged");
    archive.stop();
    const file = rig.pool.sandbox.write("none.yaml", task(1));
    expectRefusal(await rig.sky("launch", "-y", "-c", "none", file), {
      exitCode: 1,
      message: "The node has no rclone, which mounting needs: it cannot be fetched: ",
      hint: `Install rclone 1.58 or newer on the nodes, or put the archive on the API server as ${cached()}.`,
    });
    rmSync(cached());
  });
});
