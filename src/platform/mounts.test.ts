import { expect, test } from "vitest";
import { parseMountInfo } from "./mounts.ts";

test("mounts are read with odd characters in their paths", () => {
  const text = [
    "22 28 0:20 / /proc rw,nosuid - proc proc rw",
    String.raw`90 28 0:55 / /home/dev/my\040data rw,nosuid,nodev shared:5 - fuse.rclone :s3:data rw,user_id=1000`,
    "91 28 0:56 / /mnt/disk rw - fuseblk /dev/sdb1 rw",
    "92 28 0:57 / /sys/fs/fuse/connections rw - fusectl fusectl rw",
    "",
  ].join("\n");
  expect(parseMountInfo(text)).toEqual([
    { path: "/proc", type: "proc" },
    { path: "/home/dev/my data", type: "fuse.rclone", isShared: true },
    { path: "/mnt/disk", type: "fuseblk" },
    { path: "/sys/fs/fuse/connections", type: "fusectl" },
  ]);
});
