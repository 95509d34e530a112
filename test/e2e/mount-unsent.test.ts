import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { MountRig } from "../support/s3/mount-rig.ts";
import { waitFor } from "./support/wait-for.ts";

const LONG_MS = 240_000;
const TASK = `
resources: {infra: ssh/rack}
num_nodes: 2
file_mounts:
  ~/ckpt: {source: s3://ckpt, mode: MOUNT_CACHED}
run: ls ~/ckpt
`;
const DENIED = [
  { Effect: "Allow", Action: ["*"], Resource: ["*"] },
  { Effect: "Deny", Action: ["s3:PutObject"], Resource: ["*"] },
] as const;
const ALL = ["away-0", "away-1", "gone-0", "later-0", "later-1", "slow-0", "slow-1"];

/** What was written, and is not in the bucket when the cluster goes. */
describeWithFleet("the end of a mount while cached files are not uploaded", () => {
  let rig: MountRig;

  beforeAll(async () => {
    rig = await MountRig.create([{ name: "a" }, { name: "b" }]);
    await Promise.all(["ckpt", "other"].map((bucket) => rig.createBucket(bucket)));
    await rig.begin();
  });

  afterAll(() => rig?.dispose());

  /** A job that is cancelled, and so does not wait, after it has written a file on each node, which `prevent` keeps from being sent. */
  async function writeAndCancel(name: string, prevent: () => void): Promise<void> {
    // Opened before: while S3 is away, the directory may not be listed any more.
    const script = `exec 3>~/ckpt/${name}-$SKYPILOT_NODE_RANK; touch ~/open-${name}; until [ -e ~/go-${name} ]; do sleep 0.1; done; echo kept >&3; exec 3>&-; touch ~/written-${name}; sleep 600`;
    const started = await rig.sky("exec", "-d", "c", "--num-nodes", "2", script);
    expect(started.exitCode, started.text).toBe(0);
    const isThere = async (what: string, host: string): Promise<boolean> =>
      (await rig.on(host, `ls ~/${what}-${name} 2>/dev/null; true`)) !== "";
    const areThere = async (what: string): Promise<boolean> => (await isThere(what, "a")) && (await isThere(what, "b"));
    await waitFor("the files to be open", () => areThere("open"), { timeoutMs: 60_000 });
    prevent();
    for (const host of ["a", "b"]) await rig.on(host, `touch ~/go-${name}`);
    await waitFor("the files to be written", () => areThere("written"), { timeoutMs: 60_000 });
    const cancelled = await rig.sky("cancel", "-y", "-a", "c");
    expect(cancelled.exitCode, cancelled.text).toBe(0);
  }

  const deny = (): void => {
    rig.front.base = DENIED;
  };

  it("waits for a server that is away", { timeout: LONG_MS }, async () => {
    await rig.launch("c", TASK);
    await writeAndCancel("away", () => {
      rig.front.isDown = true;
    });
    const down = rig.sky("down", "-y", "c");
    await delay(5000);
    expect(await rig.keysOf("ckpt")).toEqual([]);
    rig.front.isDown = false;
    const { text, exitCode } = await down;
    expect(exitCode, text).toBe(0);
    expect(text).not.toContain("WARNING");
    expect(await rig.keysOf("ckpt")).toEqual(["away-0", "away-1"]);
  });

  it("sends it after a launch that mounts the bucket in another way", { timeout: LONG_MS }, async () => {
    await rig.launch("c", TASK);
    await writeAndCancel("later", deny);
    // What comes up again has no mount when the launch comes.
    await rig.pool.fleet.host("b").reboot({ isHard: true });
    const isUp = async (): Promise<boolean> => {
      await rig.sky("status", "-r", "c");
      return rig.pool.fleet
        .host("b")
        .processes()
        .some(({ argv }) => argv.join(" ").includes(" daemon "));
    };
    await waitFor("the agent to come back", isUp, { timeoutMs: 60_000 });
    const cached = "mode: MOUNT_CACHED, config: {mount_cached: {transfers: 2}}";
    const file = rig.pool.sandbox.write("again.yaml", TASK.replace("mode: MOUNT_CACHED", cached));
    const again = await rig.sky("launch", "-d", "-y", "-c", "c", file);
    expect(again.exitCode, again.text).toBe(0);
    expect(await rig.keysOf("ckpt")).not.toContain("later-0");
    rig.front.base = undefined;
    await waitFor("the files", async () => (await rig.keysOf("ckpt")).includes("later-1"), { timeoutMs: 60_000 });
    await rig.sky("down", "-y", "c");
    expect(await rig.keysOf("ckpt")).toEqual(["away-0", "away-1", "later-0", "later-1"]);
  });

  it(
    "waits for the nodes that go when the cluster is made smaller, and says what is lost with them",
    { timeout: LONG_MS },
    async () => {
      const one = rig.pool.sandbox.write(
        "one.yaml",
        TASK.replace("num_nodes: 2", "num_nodes: 1").replace("run: ls ~/ckpt", ""),
      );
      const resize = async (): Promise<string> => {
        const { exitCode, text } = await rig.sky("launch", "-y", "-c", "c", "--resize", one);
        expect(exitCode, text).toBe(0);
        return text;
      };
      await rig.launch(
        "c",
        TASK.replace("mode: MOUNT_CACHED", "mode: MOUNT_CACHED, config: {mount_cached: {vfs_write_back: 15s}}"),
      );
      await writeAndCancel("slow", () => undefined);
      expect(await rig.keysOf("ckpt")).not.toContain("slow-1");
      expect(await resize()).not.toContain("WARNING");
      expect(await rig.keysOf("ckpt")).toContain("slow-1");
      await rig.sky("down", "-y", "c");
      await rig.launch("c", TASK);
      await writeAndCancel("gone", deny);
      const text = await resize();
      expect(text).toMatch(
        /WARNING: What was written to ~\/ckpt is not in s3:\/\/ckpt: .*gone-1: .*It is lost with node 1\./u,
      );
      expect(text).not.toContain("It is lost with node 0.");
      rig.front.base = undefined;
      await waitFor("the file of the node that stays", async () => (await rig.keysOf("ckpt")).includes("gone-0"), {
        timeoutMs: 60_000,
      });
      await rig.sky("down", "-y", "c");
      expect(await rig.keysOf("ckpt")).toEqual(ALL);
    },
  );

  it("says of a worker that gives no answer what may be lost with it", { timeout: LONG_MS }, async () => {
    await rig.launch("c", TASK);
    expect(rig.pool.fleet.host("b").signal(/agent\.cjs.*daemon/u, "SIGSTOP")).toBe(1);
    const { text, exitCode } = await rig.sky("down", "-y", "c");
    expect(exitCode, text).toBe(0);
    expect(text.match(/WARNING.*/gu)).toEqual([
      "WARNING: Node 1 could not be asked for what was not uploaded yet of ~/ckpt. It is lost with node 1.",
    ]);
  });

  it("says what is lost where S3 refuses it", { timeout: LONG_MS }, async () => {
    await rig.launch("c", TASK);
    await writeAndCancel("denied", deny);
    // Another bucket in its place would lose it, too.
    const file = rig.pool.sandbox.write("other.yaml", TASK.replace("s3://ckpt", "s3://other"));
    const other = await rig.sky("launch", "-y", "-c", "c", file);
    expect(other.exitCode).not.toBe(0);
    expect(other.text).toContain("Mounting s3://other there would lose it.");
    const { text, exitCode } = await rig.sky("down", "-y", "c");
    expect(exitCode, text).toBe(0);
    for (const node of [0, 1]) {
      expect(text).toMatch(
        new RegExp(
          `WARNING: What was written to ~/ckpt is not in s3://ckpt: .*denied-${node}: .*s3:PutObject.* It is lost with node ${node}\\.`,
          "u",
        ),
      );
    }
    expect(await rig.keysOf("ckpt")).toEqual(ALL);
  });
});
