import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { MountRig } from "../support/s3/mount-rig.ts";
import { waitFor } from "./support/wait-for.ts";

const TASK = `
resources: {infra: ssh/rack}
num_nodes: 2
file_mounts:
  ~/data: {source: s3://data}
  ~/ckpt: {source: s3://ckpt, mode: MOUNT_CACHED}
run: cat ~/data/a.txt
`;
const LONG_MS = 240_000;

describeWithFleet("mounted buckets when things go wrong", () => {
  let rig: MountRig;

  beforeAll(async () => {
    rig = await MountRig.create([{ name: "a" }, { name: "b" }]);
    await rig.createBucket("data", { "a.txt": "one\n" });
    await rig.createBucket("ckpt");
    await rig.begin();
  });

  afterAll(() => rig?.dispose());

  async function run(script: string, expected = 0): Promise<string> {
    const { text, exitCode } = await rig.sky("exec", "c", "--num-nodes", "2", script);
    expect(exitCode, text).toBe(expected);
    return text;
  }

  it("keys are renewed before they end, while files are written", { timeout: LONG_MS }, async () => {
    // rclone asks for new ones five minutes before the end: of these, before each request.
    rig.front.lifetimeSeconds = 75;
    await rig.launch("c", TASK);
    const first = new Set(rig.front.sessions.keys());
    const start = rig.front.requests.length;
    const job = run(
      "for i in $(seq 30); do echo $i > ~/data/$SKYPILOT_NODE_RANK-$i.txt || exit 1; echo $i > ~/ckpt/$SKYPILOT_NODE_RANK-$i; sleep 1.5; done",
    );
    const isRenewed = (): boolean =>
      [...rig.front.usedSince(start)].some((id) => id.startsWith("ASIALENT") && !first.has(id));
    await waitFor("new keys to be used", isRenewed, { timeoutMs: 60_000 });
    const older = [...rig.front.sessions.keys()].filter((id) => first.has(id));
    await waitFor("each mount to have new keys", () => rig.front.sessions.size >= older.length * 2, {
      timeoutMs: 60_000,
    });
    for (const id of older) rig.front.ended.add(id);
    await job;
    rig.front.lifetimeSeconds = undefined;
    expect((await rig.keysOf("data")).length).toBe(61);
    expect((await rig.keysOf("ckpt")).length).toBe(60);
  });

  it(
    "an agent that is killed leaves them mounted, and its successor serves them on",
    { timeout: LONG_MS },
    async () => {
      const before = rig.mounters("a");
      expect(before).toHaveLength(2);
      for (const host of ["a", "b"]) expect(rig.pool.fleet.host(host).signal(/agent\.cjs.*daemon/u, "SIGKILL")).toBe(1);
      // Keys that end soon are asked for before each request: there are some when the successor is there.
      await expect.poll(() => rig.on("a", "cat ~/data/a.txt"), { timeout: 90_000 }).toBe("one\n");
      expect(await run("echo again > ~/data/again-$SKYPILOT_NODE_RANK; cat ~/data/a.txt")).toContain(") one\n");
      expect(rig.mounters("a").map(({ pid }) => pid)).toEqual(before.map(({ pid }) => pid));
      expect(await rig.textOf("data", "again-1")).toBe("again\n");
    },
  );

  it("a node that was rebooted mounts them again", { timeout: LONG_MS }, async () => {
    await rig.pool.fleet.host("b").reboot({ isHard: true });
    await waitFor("the agent to come back", async () => (await rig.sky("status", "-r", "c")).text.includes(" UP "), {
      timeoutMs: 120_000,
    });
    await waitFor("the mounts", () => rig.mounters("b").length === 2, { timeoutMs: 120_000 });
    expect((await run("cat ~/data/a.txt")).match(/\) one$/gmu)).toHaveLength(2);
  });

  it("what is written while S3 is away is sent when it is back", { timeout: LONG_MS }, async () => {
    const words = "skypilot: cached mount is still uploading (elapsed: ";
    // Opened before: while S3 is away, the directory may not be listed any more.
    const name = "~/ckpt/away-$SKYPILOT_NODE_RANK";
    const job = run(
      `exec 3>${name}-1 4>${name}-2 5>${name}-3; touch ~/open; until [ -e ~/go ]; do sleep 0.1; done; for fd in 3 4 5; do echo away >&$fd; done; exec 3>&- 4>&- 5>&-`,
    );
    for (const host of ["a", "b"]) {
      const isOpen = async (): Promise<boolean> => (await rig.on(host, "ls ~/open 2>/dev/null; true")) !== "";
      await waitFor(`the job on ${host}`, isOpen, { timeoutMs: 60_000 });
    }
    rig.front.isDown = true;
    for (const host of ["a", "b"]) await rig.on(host, "touch ~/go");
    const isSaid = async (): Promise<boolean> => (await rig.sky("logs", "c", "--no-follow")).text.includes(words);
    await waitFor("the job to say what it waits for", isSaid, { timeoutMs: 60_000 });
    rig.front.isDown = false;
    expect(await job).toContain(words);
    expect((await rig.keysOf("ckpt")).filter((key) => key.startsWith("away-"))).toHaveLength(6);
  });

  it("a server that dies and comes back finds them, and gives new keys", { timeout: LONG_MS }, async () => {
    const { sandbox } = rig.pool;
    await sandbox.killServer();
    expect(await rig.on("a", "cat ~/data/a.txt")).toBe("one\n");
    const known = rig.front.sessions.size;
    await sandbox.startServer(rig.env);
    await waitFor("new keys", () => rig.front.sessions.size >= known + 2, { timeoutMs: 60_000 });
    expect(await run("cat ~/data/a.txt")).toContain(") one\n");
    const { text, exitCode } = await rig.sky("down", "-y", "c");
    expect(exitCode, text).toBe(0);
    for (const host of ["a", "b"]) expect(await rig.on(host, "grep fuse /proc/mounts; true")).toBe("");
    expect(await rig.textOf("data", "a.txt")).toBe("one\n");
  });
});
