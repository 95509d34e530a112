import { execFileSync, spawnSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LINK } from "./scripts.ts";

let home = "";
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "link script "));
});
afterEach(() => rmSync(home, { recursive: true }));

const folder = (path: string): string => join(home, ".sky/file_mounts/.home", path);

function write(path: string, text = path): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

interface Inner {
  readonly buckets?: readonly string[];
  readonly others?: readonly string[];
}

/** Links `~/path`, whose files lie in `folder(path)`. */
function link(mode: "merge" | "mount" | "strict", path: string, { buckets = [], others = [] }: Inner = {}): number {
  const inner = [String(buckets.length), ...[...buckets, ...others].map(folder)];
  const words = [mode, join(home, path), folder(path), ...inner].map((word) => word.replace(/\/$/u, ""));
  const { status, stderr } = spawnSync("bash", ["-c", LINK, "sky-link", ...words], { encoding: "utf8" });
  expect(stderr).toBe("");
  return status ?? -1;
}

describe("a bucket in what is copied, where the image has the folder", () => {
  const INNER: Inner = { buckets: ["copy/mount"] };

  beforeEach(() => {
    write(join(home, "copy/of-the-image"));
    write(folder("copy/sent"), "1");
    write(folder("copy/mount/object"));
  });

  test("is linked, and stays as it is when files are copied again", () => {
    expect(link("merge", "copy", INNER)).toBe(0);
    expect(existsSync(join(home, "copy/mount"))).toBe(false);
    expect(link("mount", "copy/mount")).toBe(0);
    write(folder("copy/sent"), "2");
    write(folder("copy/-new/.file"));
    expect(link("merge", "copy", INNER)).toBe(0);
    expect(link("mount", "copy/mount")).toBe(0);
    expect(readdirSync(join(home, "copy")).sort()).toEqual(["-new", "mount", "of-the-image", "sent"]);
    expect(readFileSync(join(home, "copy/sent"), "utf8")).toBe("2");
    expect(readdirSync(join(home, "copy/-new"))).toEqual([".file"]);
    expect(readlinkSync(join(home, "copy/mount"))).toBe(folder("copy/mount"));
  });

  test("is not looked into when its folder is far below", () => {
    write(folder("copy/a/b/object"));
    write(folder("copy/a/beside"));
    execFileSync("chmod", ["700", folder("copy/a")]);
    const inner = { buckets: ["copy/mount", "copy/a/b"] };
    for (let times = 0; times < 2; times += 1) {
      expect(link("merge", "copy", inner)).toBe(0);
      expect(link("mount", "copy/a/b")).toBe(0);
    }
    expect(readdirSync(join(home, "copy/a")).sort()).toEqual(["b", "beside"]);
    expect(lstatSync(join(home, "copy/a/b")).isSymbolicLink()).toBe(true);
    expect(statSync(join(home, "copy/a")).mode & 0o777).toBe(0o700);
  });
});

test("files for all of HOME come to it without those that have a place of their own there", () => {
  write(join(home, "merged/of-the-image"));
  for (const path of ["file", "merged/x", "linked/x", "data/object"]) write(folder(path));
  for (let index = 0; index < 250; index += 1) write(folder(`many-${index}`), "");
  const inner = { buckets: ["data"], others: ["merged", "linked"] };
  expect(link("merge", "linked")).toBe(0);
  for (let times = 0; times < 2; times += 1) {
    expect(link("merge", "", inner)).toBe(0);
    expect(link("mount", "data")).toBe(0);
  }
  expect(readFileSync(join(home, "file"), "utf8")).toBe(folder("file"));
  expect(readdirSync(join(home, "merged")).sort()).toEqual(["of-the-image", "x"]);
  for (const path of ["linked", "data"]) expect(readlinkSync(join(home, path))).toBe(folder(path));
  expect(readdirSync(home).filter((name) => name.startsWith("many-"))).toHaveLength(250);
});

test("what lies below a folder with a link is left as it is there", () => {
  write(folder("copy/sent"));
  expect(link("merge", "copy")).toBe(0);
  expect(link("mount", "copy/a/mount")).toBe(0);
  expect(readdirSync(folder("copy"))).toEqual(["sent"]);
  write(folder("copy/a/mount/object"));
  expect(link("mount", "copy/a/mount")).toBe(0);
  expect(readdirSync(folder("copy/a/mount"))).toEqual(["object"]);
  write(folder("copy/b/own"));
  expect(link("merge", "copy/b")).toBe(0);
  expect(lstatSync(folder("copy/b")).isDirectory()).toBe(true);
});

test("files of the image are in the way of a bucket and of what is strict, an empty folder and an old link are not", () => {
  write(join(home, "full/file"));
  mkdirSync(join(home, "empty"));
  symlinkSync("/nowhere", join(home, "old"));
  for (const path of ["full", "empty", "old"]) write(folder(`${path}/object`));
  expect(link("mount", "full")).toBe(3);
  expect(link("strict", "full")).toBe(3);
  expect(link("mount", "empty")).toBe(0);
  expect(link("strict", "old")).toBe(0);
  for (const path of ["empty", "old"]) expect(readlinkSync(join(home, path))).toBe(folder(path));
});

const mayMount = spawnSync("unshare", ["-m", "mount", "-t", "tmpfs", "none", "/mnt"]).status === 0;

test.skipIf(!mayMount)("what is mounted is not copied, whether its link is known or not", () => {
  write(join(home, "copy/of-the-image"));
  write(folder("copy/sent"));
  mkdirSync(folder("copy/a mount"));
  const inside = `mount -t tmpfs none "$3/a mount" && echo > "$3/a mount/object" && . "$0"`;
  write(join(home, "script"), LINK);
  const words = [join(home, "script"), "merge", join(home, "copy"), folder("copy"), "0"];
  const { status, stderr } = spawnSync("unshare", ["-m", "bash", "-c", inside, ...words], { encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(readdirSync(join(home, "copy")).sort()).toEqual(["of-the-image", "sent"]);
});
