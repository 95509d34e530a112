import { expect, test } from "vitest";
import type { MountSpec } from "../../shared/agent/mounts.ts";
import { lastProblem, mountArguments, nameAction, readCacheLine, readUploadFailure } from "./rclone-command.ts";

const spec: MountSpec = {
  dest: "~/data",
  bucket: "data",
  prefix: "",
  region: "eu-west-1",
  isReadOnly: false,
  credentials: "lent",
};
const command = {
  program: "rclone",
  version: [1, 60] as const,
  path: "/home/dev/data",
  othersToo: undefined,
  cacheDir: "/cache",
  memoryGib: 16,
};

test("a bucket of Amazon, whose files pass through the disk", () => {
  expect(mountArguments(spec, command).join(" ")).toMatchInlineSnapshot(
    `"mount :s3:data /home/dev/data --s3-env-auth --s3-no-check-bucket --use-server-modtime --no-checksum --config  --log-level INFO --s3-provider AWS --s3-region eu-west-1 --s3-chunk-size 16M --cache-dir /cache --vfs-cache-poll-interval 1s --low-level-retries 3 --contimeout 5s --timeout 30s --vfs-cache-mode writes --vfs-write-back 500ms --vfs-cache-max-age 10s --dir-cache-time 5s"`,
  );
});

test("a part of a bucket elsewhere, cached, to read only", () => {
  const cache = { transfers: 8, maxSize: "20G", readChunkSize: "32M", readChunkStreams: 16, writeBack: "5s" };
  const wanted = { ...spec, prefix: "a/b", endpoint: "http://minio:9000", isReadOnly: true, cache };
  const text = mountArguments(wanted, { ...command, version: [1, 75], othersToo: "root" }).join(" ");
  expect(text).toMatchInlineSnapshot(
    `"mount2 :s3:data/a/b/ /home/dev/data --s3-env-auth --s3-no-check-bucket --use-server-modtime --no-checksum --read-only --allow-other --default-permissions --umask 077 --allow-non-empty --vfs-fast-fingerprint --config  --log-level INFO --s3-provider Other --s3-region eu-west-1 --s3-endpoint http://minio:9000 --s3-chunk-size 16M --cache-dir /cache --vfs-cache-poll-interval 1s --low-level-retries 3 --contimeout 5s --timeout 30s --vfs-read-chunk-size 32M --vfs-read-chunk-streams 16 --vfs-cache-mode full --dir-cache-time 10s --vfs-cache-max-size 20G --vfs-write-back 5s --transfers 8 --checkers 16"`,
  );
  // An option that an older rclone does not know.
  expect(mountArguments(wanted, command)).not.toContain("--vfs-read-chunk-streams");
});

test.each([
  [true, [1, 60], "mount"],
  [true, [1, 75], "mount2"],
  [true, [1, 76], "mount"],
  [true, [2, 75], "mount"],
  [false, [1, 75], "mount"],
] as const)("by the faster of rclone's ways to FUSE: to read only %s, release %s", (isReadOnly, version, wanted) => {
  expect(mountArguments({ ...spec, isReadOnly }, { ...command, version })[0]).toBe(wanted);
});

test("the log tells what waits, and what went wrong", () => {
  const line =
    "2026/11/29 20:00:00 INFO  : vfs cache: cleaned: objects 3 (was 3) in use 1, to upload 2, uploading 1, total size 5";
  expect(readCacheLine(line)).toEqual({ waiting: 3 });
  expect(readCacheLine("2026/11/29 20:00:00 INFO  : a.txt: Copied (new)")).toBeUndefined();
  const log = `${line}\n2026/11/29 20:00:01 ERROR : IO error: AccessDenied: no\n${line}\n`;
  expect(lastProblem(log)).toBe("IO error: AccessDenied: no");
  expect(lastProblem(line)).toBeUndefined();
  const failed =
    "2026/11/29 20:00:00 ERROR : a b: vfs cache: failed to upload try #3, will retry in 40s: vfs cache: failed to transfer file from cache to remote: ";
  expect(readUploadFailure(`${failed}AccessDenied: no`)).toEqual({
    tries: 3,
    reason: "a b: AccessDenied: no",
    isFinal: true,
  });
  expect(readUploadFailure(`${failed}ExpiredToken: old`)).toMatchObject({ isFinal: false });
  expect(readUploadFailure(line)).toBeUndefined();
});

test.each([
  ["upload of a: AccessDenied: Access Denied", "s3:PutObject"],
  ["Failed to copy: StatusCode: 403, RequestID: 1, api error Forbidden: Forbidden", "s3:PutObject"],
  ["a: failed to open: AccessDenied: Access Denied", "s3:GetObject"],
])("a refusal gets the action that is missing: %s", (text, action) => {
  expect(nameAction(text, spec)).toBe(`${text} (needs ${action})`);
  expect(nameAction(text, { scheme: "r2" })).toBe(text);
});

test.each([
  "upload of a: NoSuchBucket: The specified bucket does not exist.",
  "upload of a: InvalidAccessKeyId: The key does not exist in our records.",
  "upload of a: EntityTooLarge: Your proposed upload exceeds the maximum allowed size",
  "upload of a: AccessDenied: not authorized to perform: s3:PutObjectTagging",
  "upload of a: AccessDenied: not authorized to perform: kms:GenerateDataKey",
  "it cannot be read",
])("nothing else does: %s", (text) => {
  expect(nameAction(text, spec)).toBe(text);
});
