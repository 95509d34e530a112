import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { SyncEntry } from "../../shared/agent/protocol.ts";
import { resolveDestination } from "./dest.ts";
import { beginSync, explainWriteError } from "./receive-files.ts";

let home = "";
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "agent-sync-"));
});
afterEach(() => rmSync(home, { recursive: true }));

const MTIME = 1_700_000_000_123;
const file = (path: string, size: number, mode = 0o644): SyncEntry => ({
  path,
  kind: "file",
  mode,
  size,
  mtimeMs: MTIME,
});
const dir = (path: string, mode = 0o755): SyncEntry => ({ path, kind: "dir", mode, size: 0, mtimeMs: MTIME });
const link = (path: string, target: string): SyncEntry => ({
  path,
  kind: "link",
  mode: 0o777,
  size: 0,
  mtimeMs: 0,
  target,
});

async function sync(dest: string, entries: readonly SyncEntry[], content = ""): Promise<readonly number[]> {
  const receiver = await beginSync(dest, entries, { home, mayUseSudo: false });
  // One byte at a time: contents are cut anywhere.
  try {
    for (const byte of Buffer.from(content)) await receiver.write(Uint8Array.of(byte));
    await receiver.finish();
  } catch (error) {
    receiver.abort();
    throw error;
  }
  return receiver.need;
}

test("places files, directories, links, modes and times; a second sync needs nothing", async () => {
  const entries = [
    dir(""),
    dir("sub", 0o555),
    file("sub/a.sh", 2, 0o755),
    file("empty", 0),
    file("b", 3),
    link("l", "sub/a.sh"),
  ];
  expect(await sync("~/sky_workdir", entries, "AAbbb")).toEqual([2, 3, 4]);
  const root = join(home, "sky_workdir");
  expect(readFileSync(join(root, "l"), "utf8")).toBe("AA");
  expect(readFileSync(join(root, "b"), "utf8")).toBe("bbb");
  expect(statSync(join(root, "empty")).size).toBe(0);
  expect(statSync(join(root, "sub/a.sh")).mode & 0o777).toBe(0o755);
  expect(statSync(join(root, "sub")).mode & 0o777).toBe(0o555);
  expect(Math.round(statSync(join(root, "b")).mtimeMs)).toBe(MTIME);
  expect(await sync("~/sky_workdir", entries)).toEqual([]);
  expect(await sync("~/sky_workdir", [file("b", 3, 0o600)])).toEqual([]);
  expect(statSync(join(root, "b")).mode & 0o777).toBe(0o600);
});

test("a file whose size or time differs is replaced whole; others stay; a file can be the destination", async () => {
  await sync("~/x", [file("", 3)], "old");
  expect(readFileSync(join(home, "x"), "utf8")).toBe("old");
  const receiver = await beginSync("~/x", [{ ...file("", 5), mtimeMs: MTIME + 5000 }], { home, mayUseSudo: false });
  await receiver.write(Buffer.from("ne"));
  expect(readFileSync(join(home, "x"), "utf8")).toBe("old");
  receiver.abort();
  expect(readFileSync(join(home, "x"), "utf8")).toBe("old");
  await sync("~/x", [{ ...file("", 5), mtimeMs: MTIME + 5000 }], "newer");
  expect(readFileSync(join(home, "x"), "utf8")).toBe("newer");
});

test("content that is missing or too much is refused", async () => {
  await expect(sync("~/x", [file("", 3)], "ab")).rejects.toMatchObject({ agentCode: "BAD_PARAMS" });
  await expect(sync("~/y", [file("", 1)], "abc")).rejects.toMatchObject({ agentCode: "BAD_PARAMS" });
});

test("nothing is written through a link below the destination", async () => {
  const outside = join(home, "outside");
  mkdirSync(outside);
  await sync("~/w", [dir(""), link("esc", outside)]);
  await sync("~/w", [dir(""), file("esc/passwd", 2)], "hi");
  expect(existsSync(join(outside, "passwd"))).toBe(false);
  expect(lstatSync(join(home, "w/esc")).isDirectory()).toBe(true);
});

test.each(["../x", "/etc/passwd", "a/../../x", "a//b", ".", "a/./b", "a\0b"])("path %j is refused", async (path) => {
  await expect(sync("~/w", [file(path, 0)])).rejects.toMatchObject({ agentCode: "BAD_PARAMS" });
});

test("a directory does not give way to a file; a file gives way to a directory", async () => {
  await sync("~/w", [dir("d"), file("f", 1)], "x");
  await expect(sync("~/w", [file("d", 1)], "x")).rejects.toMatchObject({ agentCode: "PATH_EXISTS" });
  await expect(sync("~/w", [link("d", "f")])).rejects.toMatchObject({ agentCode: "PATH_EXISTS" });
  await sync("~/w", [file("f/inner", 1)], "y");
  expect(readFileSync(join(home, "w/f/inner"), "utf8")).toBe("y");
});

test("a destination that is a link to a directory is followed", async () => {
  mkdirSync(join(home, "big"));
  symlinkSync(join(home, "big"), join(home, "sky_workdir"));
  await sync("~/sky_workdir", [dir(""), file("a", 1)], "x");
  expect(readFileSync(join(home, "big/a"), "utf8")).toBe("x");
});

test("a full disk and missing rights are said plainly, other errors stay what they are", () => {
  const explain = (code: string): unknown => explainWriteError(Object.assign(new Error("write"), { code }), "~/w/big");
  expect(explain("ENOSPC")).toMatchObject({
    agentCode: "NO_SPACE",
    message: "No space is left on the node for ~/w/big.",
  });
  expect(explain("EDQUOT")).toMatchObject({ agentCode: "NO_SPACE" });
  expect(explain("EACCES")).toMatchObject({ agentCode: "NOT_ALLOWED" });
  expect(explain("EIO")).toMatchObject({ code: "EIO", message: "write" });
});

describe("outside of HOME and /tmp", () => {
  test("destinations map as the task file says", () => {
    const map = (dest: string): unknown => resolveDestination(dest, "/home/me");
    expect(map("~/data")).toEqual({ path: "/home/me/data" });
    expect(map("data")).toEqual({ path: "/home/me/sky_workdir/data" });
    expect(map("/tmp/data")).toEqual({ path: "/tmp/data" });
    expect(map("/home/me/x")).toEqual({ path: "/home/me/x" });
    expect(map("/data/x")).toEqual({ path: "/home/me/.sky/file_mounts/data/x", link: "/data/x" });
    for (const bad of ["~/../x", "../../x", "/", ""]) expect(() => map(bad)).toThrow("destination");
  });

  test("files go below ~/.sky/file_mounts and a link leads there; what is real is not replaced", async () => {
    const other = mkdtempSync(join("/var/tmp", "agent-sync-"));
    try {
      const dest = join(other, "deep/data");
      await sync(dest, [dir(""), file("a", 1)], "x");
      expect(readlinkSync(dest)).toBe(join(home, ".sky/file_mounts", dest));
      expect(readFileSync(join(dest, "a"), "utf8")).toBe("x");
      expect(await sync(dest, [dir(""), file("a", 1)])).toEqual([]);
      writeFileSync(join(other, "real"), "precious");
      await expect(sync(join(other, "real"), [file("", 1)], "x")).rejects.toMatchObject({
        agentCode: "PATH_EXISTS",
        message: `!!! Failed mounting because path exists (${join(other, "real")})`,
      });
      expect(readFileSync(join(other, "real"), "utf8")).toBe("precious");
    } finally {
      rmSync(other, { recursive: true });
    }
  });
});
