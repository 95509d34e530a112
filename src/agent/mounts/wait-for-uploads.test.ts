import { appendFileSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Clock } from "../../shared/clock.ts";
import { hasUnsent } from "./unsent.ts";
import { waitForUploads } from "./wait-for-uploads.ts";

const SPEC = { dest: "~/ckpt", bucket: "ckpt", prefix: "" };
let folder: string;
let logPath: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "uploads-"));
  logPath = join(folder, "log");
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Time that passes while it is slept; `onSleep` is what happens then. */
function clockWith(onSleep: (count: number) => void): Clock {
  let [now, count] = [0, 0];
  return {
    now: () => now,
    sleep: async (ms) => {
      now += ms;
      onSleep((count += 1));
    },
  };
}

function say(waiting: number): void {
  appendFileSync(
    logPath,
    `2027/01/01 00:00:00 INFO  : vfs cache: cleaned: objects 1 (was 1) in use 0, to upload ${waiting}, uploading 0\n`,
  );
}

/** What rclone keeps of a file in its cache. */
function cache(name: string, isDirty: boolean): void {
  const path = join(folder, "cache", "vfsMeta", ":s3{x}", "ckpt", name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, JSON.stringify({ Size: 1, Dirty: isDirty }, null, "\t"));
}

function wait(clock: Clock, isRunning: () => boolean): Promise<void> {
  const mount = { spec: SPEC, logPath, isRunning, hasUnsent: () => hasUnsent(join(folder, "cache")) };
  return waitForUploads(mount, { clock, signal: AbortSignal.timeout(5000) });
}

test("a log that is begun anew while uploads are waited for is read from its beginning", async () => {
  for (let line = 0; line < 1000; line += 1) say(1);
  const clock = clockWith((count) => {
    if (count === 2) truncateSync(logPath);
    say(count < 4 ? 1 : 0);
  });
  await expect(wait(clock, () => true)).resolves.toBeUndefined();
});

test("what a program that is gone has not sent is waited for, and nothing else", async () => {
  let isDirty = true;
  cache("sub/folder/a", isDirty);
  cache("b", false);
  const clock = clockWith((count) => {
    isDirty = count < 60;
    cache("sub/folder/a", isDirty);
  });
  await wait(clock, () => false);
  expect(isDirty).toBe(false);
  rmSync(join(folder, "cache"), { recursive: true });
  await wait(clock, () => false);
});

test.each([
  [
    "AccessDenied: Access Denied",
    "What was written to ~/ckpt is not in s3://ckpt: upload of a: AccessDenied: Access Denied (needs s3:PutObject)",
  ],
  [
    "NoSuchBucket: The specified bucket does not exist.",
    "What was written to ~/ckpt is not in s3://ckpt: upload of a: NoSuchBucket: The specified bucket does not exist.",
  ],
])("what S3 refuses for good ends the wait, with the reason: %s", async (reason, message) => {
  const clock = clockWith(() => {
    const failed =
      "vfs cache: failed to upload try #3, will retry in 40s: vfs cache: failed to transfer file from cache";
    appendFileSync(logPath, `2027/01/01 00:00:00 ERROR : a: ${failed} to remote: ${reason}\n`);
  });
  await expect(wait(clock, () => true)).rejects.toMatchObject({ agentCode: "MOUNT_DENIED", message });
});
