import { describe, expect, it } from "vitest";
import { absolutePath, resolveTaskPaths, type PathOptions } from "./paths.ts";
import { parseTaskYaml } from "./parse.ts";

const TREE: Readonly<Record<string, "file" | "directory">> = {
  "/w": "directory",
  "/w/src": "directory",
  "/w/a.txt": "file",
  "/home/me/data": "directory",
};

const options: PathOptions = { cwd: "/w", home: "/home/me", files: { kindOf: (path) => TREE[path] } };

function resolve(yaml: string): unknown {
  const [task] = resolveTaskPaths(parseTaskYaml(yaml), options).tasks;
  return { workdir: task?.workdir, fileMounts: task?.fileMounts, storage: task?.storageMounts };
}

describe("resolveTaskPaths", () => {
  it("makes local paths absolute and leaves buckets alone", () => {
    expect(
      resolve(
        "workdir: ./src\nfile_mounts: {/a: a.txt, /d: ~/data, /b: s3://bucket/x, /s: {name: bkt, source: ../w/src}}",
      ),
    ).toMatchObject({
      workdir: { kind: "dir", path: "/w/src" },
      fileMounts: { "/a": "/w/a.txt", "/d": "/home/me/data", "/b": "s3://bucket/x" },
      storage: { "/s": { source: "/w/src" } },
    });
  });

  it("leaves a git workdir alone", () => {
    expect(resolve("workdir: {url: https://x/y.git}")).toMatchObject({ workdir: { kind: "git" } });
  });

  it.each([
    ["workdir: ./nope", "Workdir must be a valid directory (or a symlink to a directory). ./nope not found."],
    ["workdir: a.txt", "Workdir must be a valid directory (or a symlink to a directory). a.txt not found."],
    [
      "file_mounts: {/x: ./nope}",
      "File mount source './nope' does not exist locally. To fix: check if it exists, and correct the path.",
    ],
    ["file_mounts: {/x/: a.txt}", "Mount paths cannot end with a slash Found: /x/ in file_mounts./x/: a.txt"],
    ["file_mounts: {s3://b: a.txt}", "File mount destination paths cannot be cloud storage"],
    ["file_mounts: {/x: {name: bkt, source: src/}}", "Storage source paths cannot end with a slash"],
    [
      "file_mounts: {/x: {name: bkt, source: a.txt}}",
      "Storage source path cannot be a file - only directories are supported",
    ],
    [
      "file_mounts: {/x: {name: bkt, source: [a.txt, src/a.txt]}}",
      "Cannot have multiple files or directories with the same name in source. Conflicts found for: a.txt",
    ],
  ])("refuses %s", (yaml, message) => {
    expect(() => resolve(yaml)).toThrow(message);
  });
});

describe("absolutePath", () => {
  it.each([
    ["a", "/w/a"],
    [".", "/w"],
    ["../x", "/x"],
    ["../../..", "/"],
    ["~", "/home/me"],
    ["~/x//y/./z", "/home/me/x/y/z"],
    ["~other", "/w/~other"],
    ["/a/../b/", "/b"],
  ])("%s → %s", (path, absolute) => {
    expect(absolutePath(path, options)).toBe(absolute);
  });
});
