import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { MountRig } from "../support/s3/mount-rig.ts";
import { plainText } from "./support/plain-text.ts";
import { waitFor } from "./support/wait-for.ts";

const LONG_MS = 240_000;
/** More than rclone and the kernel read ahead. */
const SIZE = 48 * 1024 * 1024;
const TASK = `
resources: {infra: ssh/rack}
file_mounts:
  ~/data: {source: s3://data}
  ~/models: {source: s3://data, config: {mount: {read_only: true}}}
  ~/ckpt: {source: s3://data, mode: MOUNT_CACHED}
run: ls ~/data ~/models ~/ckpt
`;
/** Reads the beginning of a file, waits for ~/away, and tells what becomes of the rest; each mount by itself. */
const READS = `
read_on() {
  exec 3<~/$1/$2; head -c 1000000 <&3 >~/part-$1; touch ~/begun-$1; until [ -e ~/away ]; do sleep 0.1; done
  SECONDS=0; if cat <&3 >>~/part-$1 2>~/error-$1; then echo "$1 sum $(md5sum <~/part-$1)"; else echo "$1 failed after $SECONDS s: $(cat ~/error-$1)"; fi
  touch ~/over-$1; exec 3<&-; until [ "$(cat ~/$1/$2 2>/dev/null | wc -c)" = ${SIZE} ]; do sleep 0.5; done; echo "$1 reads again"
}
`;

describeWithFleet("S3 that goes away while files are read through mounts", () => {
  let rig: MountRig;
  let content: Buffer;

  beforeAll(async () => {
    rig = await MountRig.create([{ name: "a" }]);
    await rig.createBucket("data");
    content = Buffer.alloc(SIZE);
    for (let at = 0; at < content.length; at += 4096) content.writeUInt32LE(at, at);
    for (const Key of ["short", "long"])
      await rig.s3.send(new PutObjectCommand({ Bucket: "data", Key, Body: content }));
    await rig.begin();
    await rig.launch("c", TASK);
  }, LONG_MS);

  afterAll(() => rig?.dispose());

  async function until(what: string, mounts: readonly string[]): Promise<void> {
    const files = mounts.map((mount) => `~/${what}-${mount}`);
    const areThere = async (): Promise<boolean> =>
      (await rig.on("a", `ls ${files.join(" ")} 2>/dev/null | wc -l`)).trim() === String(files.length);
    await waitFor(`${what} of ${mounts.join(", ")}`, areThere, { timeoutMs: LONG_MS });
  }

  /** Starts a read through each of the mounts, and pulls the plug once all are under way. */
  async function interrupt(file: string, mounts: readonly string[]): Promise<() => Promise<string>> {
    await rig.on("a", "rm -f ~/away ~/begun-* ~/over-*");
    const script = `${READS}\n${mounts.map((mount) => `read_on ${mount} ${file} &`).join("\n")}\nwait`;
    const { sandbox } = rig.pool;
    const job = sandbox.sky(["exec", "c", script], { env: sandbox.env(rig.env), timeoutMs: LONG_MS });
    await until("begun", mounts);
    rig.front.goAway();
    await rig.on("a", "touch ~/away");
    return async () => {
      rig.front.isDown = false;
      const { stdout, stderr, exitCode } = await job;
      const text = plainText(stdout + stderr);
      expect(exitCode, text).toBe(0);
      return text;
    };
  }

  it("a short while goes unnoticed", { timeout: LONG_MS }, async () => {
    const restore = await interrupt("short", ["data", "models"]);
    await delay(1500);
    const text = await restore();
    const sum = createHash("md5").update(content).digest("hex");
    for (const mount of ["data", "models"]) expect(text).toContain(`${mount} sum ${sum}`);
  });

  it("a long one is an error within three minutes, and they read again afterwards", { timeout: LONG_MS }, async () => {
    const mounts = ["data", "models", "ckpt"];
    const restore = await interrupt("long", mounts);
    await until("over", mounts);
    const text = await restore();
    for (const mount of mounts) {
      const [, seconds, error] = new RegExp(`${mount} failed after (\\d+) s: (.*)`, "u").exec(text) ?? [];
      expect(error, text).toContain("Input/output error");
      expect(Number(seconds), text).toBeLessThan(180);
      expect(text).toContain(`${mount} reads again`);
    }
  });
});
