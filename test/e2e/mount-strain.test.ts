import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWithFleet } from "../fleet/requirements.ts";
import { MountRig } from "../support/s3/mount-rig.ts";

const LONG_MS = 180_000;
const TASK = `
resources: {infra: ssh/rack}
file_mounts:
  ~/data: {source: s3://data}
  ~/ckpt: {source: s3://ckpt, mode: MOUNT_CACHED}
run: ls ~/data ~/ckpt
`;

describeWithFleet("mounted buckets on a node whose disk fills up", () => {
  let rig: MountRig;

  beforeAll(async () => {
    rig = await MountRig.create([{ name: "a", diskMib: 600 }]);
    for (const bucket of ["data", "ckpt"]) await rig.createBucket(bucket);
    await rig.begin();
    await rig.launch("c", TASK);
  }, LONG_MS);

  afterAll(() => rig?.dispose());

  it.each(["data", "ckpt"])(
    "what does not fit is an error of the program that writes to ~/%s, its job is no success, and it works again afterwards",
    { timeout: LONG_MS },
    async (bucket) => {
      const write = `dd if=/dev/zero of=$HOME/${bucket}/huge bs=1M count=900; code=$?; rm -f ~/${bucket}/huge; exit $code`;
      const { text, exitCode } = await rig.sky("exec", "c", write);
      expect(exitCode, text).toBe(100);
      // The program's own words may not have fit on the disk.
      expect(text).toMatch(/ERROR: Job \d+ failed with return code list: \[1\]/u);
      const small = await rig.sky("exec", "c", `echo small > ~/${bucket}/small; cat ~/${bucket}/small`);
      expect(small.exitCode, small.text).toBe(0);
      expect(small.text).toContain(") small\n");
      expect(await rig.textOf(bucket, "small")).toBe("small\n");
      expect(await rig.keysOf(bucket)).toEqual(["small"]);
    },
  );
});
