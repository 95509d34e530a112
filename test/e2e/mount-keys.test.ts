import { createHash } from "node:crypto";
import { GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { MountRig } from "../support/s3/mount-rig.ts";
import { waitFor } from "./support/wait-for.ts";

const LONG_MS = 180_000;
const MIB = 1024 * 1024;
/** Larger than the first piece that rclone asks for. */
const SIZE_MIB = 140;
const TASK = `
resources: {infra: ssh/rack}
file_mounts:
  ~/data: {source: s3://data}
run: ls ~/data
`;
const SLOW_READ = `exec 3<~/data/big; dd bs=1M count=60 iflag=fullblock <&3 2>/dev/null >~/first
touch ~/half-read; until [ -e ~/go ]; do sleep 0.2; done
cat <&3 >~/second; cat ~/first ~/second | md5sum`;
const SLOW_WRITE = `exec 4>~/data/out; dd if=~/first bs=1M count=30 2>/dev/null >&4
touch ~/half-written; until [ -e ~/go ]; do sleep 0.2; done
dd if=~/first bs=1M skip=30 count=30 2>/dev/null >&4 || exit 8; exec 4>&- || exit 9; md5sum <~/first`;

describeWithFleet("keys of mounts that end while they are used", () => {
  let rig: MountRig;
  let content: Buffer;

  beforeAll(async () => {
    rig = await MountRig.create([{ name: "a" }]);
    await rig.createBucket("data", { "a.txt": "one\n", "late.txt": "late\n" });
    content = Buffer.alloc(SIZE_MIB * MIB);
    for (let at = 0; at < content.length; at += 4096) content.writeUInt32LE(at, at);
    await rig.s3.send(new PutObjectCommand({ Bucket: "data", Key: "big", Body: content }));
    await rig.begin();
    rig.front.lifetimeSeconds = 45;
    await rig.launch("c", TASK);
  }, LONG_MS);

  afterAll(() => rig?.dispose());

  const md5 = (bytes: Uint8Array): string => createHash("md5").update(bytes).digest("hex");

  async function exec(script: string): Promise<string> {
    const { text, exitCode } = await rig.sky("exec", "c", script);
    expect(exitCode, text).toBe(0);
    return text;
  }

  /** Ends all keys that there are, once there are newer ones. */
  async function renewKeys(): Promise<void> {
    const known = [...rig.front.sessions.keys()];
    await waitFor("new keys", () => rig.front.sessions.size > known.length, { timeoutMs: 90_000 });
    for (const id of known) rig.front.ended.add(id);
  }

  async function half(file: string): Promise<void> {
    await waitFor(file, async () => (await rig.on("a", `ls ~/${file} 2>/dev/null; true`)) !== "", {
      timeoutMs: 60_000,
    });
  }

  it("a file that is being read and one that is being written go on with new ones", { timeout: LONG_MS }, async () => {
    const reading = exec(SLOW_READ);
    await half("half-read");
    await renewKeys();
    await rig.on("a", "touch ~/go");
    expect(await reading).toContain(`) ${md5(content)}`);
    await rig.on("a", "rm ~/go");
    const writing = exec(SLOW_WRITE);
    await half("half-written");
    await renewKeys();
    await rig.on("a", "touch ~/go");
    const first = md5(content.subarray(0, 60 * MIB));
    expect(await writing).toContain(`) ${first}`);
    const object = await rig.s3.send(new GetObjectCommand({ Bucket: "data", Key: "out" }));
    expect(md5((await object.Body?.transformToByteArray()) ?? new Uint8Array())).toBe(first);
  });

  it(
    "keys that cannot be renewed are said in the job's log and the status, and it goes on when they can",
    { timeout: LONG_MS },
    async () => {
      rig.front.refusesTokens = true;
      const reason = "The keys of ~/data cannot be renewed: ";
      const job = rig.sky(
        "exec",
        "c",
        "until [ -e ~/ended ]; do sleep 0.3; done; until cat ~/data/late.txt 2>/dev/null; do sleep 1; done; echo again > ~/data/again.txt",
      );
      await waitFor("the refusal", async () => (await rig.sky("status", "-v", "c")).text.includes(reason), {
        timeoutMs: 90_000,
      });
      expect((await rig.sky("status", "-r", "-v", "c")).text).toContain(reason);
      // As S3 does with what has ended.
      for (const id of rig.front.sessions.keys()) rig.front.ended.add(id);
      await rig.on("a", "touch ~/ended");
      const text = async (): Promise<string> => (await rig.sky("logs", "c", "--no-follow")).text;
      await waitFor("the job's log", async () => (await text()).includes("~/data has keys that ended"), {
        timeoutMs: 90_000,
      });
      rig.front.refusesTokens = false;
      const ended = await job;
      expect(ended.exitCode, ended.text).toBe(0);
      expect(ended.text).toMatch(
        /skypilot: ~\/data has keys that ended and were not renewed, so reading and writing wait or fail until they are: .*sts:GetFederationToken/u,
      );
      expect(ended.text).toContain(") late\n");
      expect(ended.text).toContain("skypilot: ~/data has keys again\n");
      expect(await rig.textOf("data", "again.txt")).toBe("again\n");
      const status = (await rig.sky("status", "-v", "c")).text;
      // The look of each minute may have come in between.
      expect(status).toMatch(/The keys of ~\/data are renewed again\.|SkyPilot runtime healthy/u);
      expect(status).not.toContain(reason);
    },
  );
});
