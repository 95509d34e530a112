import { expect, test } from "vitest";
import { parseMountInfo } from "../../platform/mounts.ts";
import { isShared } from "./shared-folders.ts";

const MOUNTS = [
  "28 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw",
  "30 28 8:2 / /home rw,relatime - ext4 /dev/sda2 rw",
  "31 30 8:3 / /home/dev/.sky rw,relatime shared:7 master:2 - ext4 /dev/sda3 rw",
  "",
].join("\n");

test.each([
  ["/srv/sky_workdir", true],
  ["/home/dev/sky_workdir", false],
  ["/homes/dev", true],
  ["/home/dev/.sky/file_mounts", true],
])("what is mounted later in %s is passed on: %s", (folder, expected) => {
  expect(isShared(folder, parseMountInfo(MOUNTS))).toBe(expected);
});

test("of mounts on top of each other the last one counts", () => {
  const remounted = `${MOUNTS}32 30 8:2 /dev/w /home/dev/sky_workdir rw - ext4 /dev/sda2 rw\n33 32 8:2 /dev/w /home/dev/sky_workdir rw shared:9 - ext4 /dev/sda2 rw\n`;
  expect(isShared("/home/dev/sky_workdir", parseMountInfo(remounted))).toBe(true);
});
