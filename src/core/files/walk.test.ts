import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { SyncEntry } from "../../shared/agent/protocol.ts";
import { walkTree, type WalkOptions } from "./walk.ts";

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "walk-"));
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}

async function list(options: Partial<WalkOptions> = {}): Promise<SyncEntry[]> {
  const entries: SyncEntry[] = [];
  for await (const entry of walkTree(root, { ignoreFilesFrom: "/", ...options })) entries.push(entry);
  return entries;
}

async function paths(options?: Partial<WalkOptions>): Promise<string[]> {
  return (await list(options)).map((entry) => entry.path);
}

describe("walkTree", () => {
  test("lists directories before their content, in order, with empty ones", async () => {
    write({ "b/x": "1", "a.txt": "22", "b/c/y": "" });
    mkdirSync(join(root, "empty"));
    expect(await paths()).toEqual(["a.txt", "b", "b/c", "b/c/y", "b/x", "empty"]);
    const entries = await list();
    expect(entries[0]).toMatchObject({ kind: "file", size: 2 });
    expect(entries[5]).toMatchObject({ kind: "dir", size: 0 });
  });

  test("tells of files whose names are not UTF-8, which nothing finds", async () => {
    write({ "fine.txt": "" });
    writeFileSync(Buffer.concat([Buffer.from(`${root}/caf`), Buffer.from([0xe9])]), "");
    const skipped: string[] = [];
    expect(await paths({ onSkipped: (path) => skipped.push(path) })).toEqual(["fine.txt"]);
    expect(skipped).toEqual(["caf\uFFFD"]);
  });

  test("honours .gitignore with negation and nested files, and uploads .git itself", async () => {
    write({
      ".gitignore": "*.log\n!keep.log\nbuild/\n",
      "a.log": "",
      "keep.log": "",
      "build/x": "",
      "sub/.gitignore": "!a.log\n/local\n",
      "sub/a.log": "",
      "sub/local": "",
      "sub/deep/local": "",
      ".git/HEAD": "",
      ".git/info/exclude": "secret\n",
      secret: "",
    });
    expect(await paths()).toEqual([
      ".git",
      ".git/HEAD",
      ".git/info",
      ".git/info/exclude",
      ".gitignore",
      "keep.log",
      "sub",
      "sub/.gitignore",
      "sub/a.log",
      "sub/deep",
      "sub/deep/local",
    ]);
  });

  test("a .skyignore in the root replaces git's files", async () => {
    write({
      ".skyignore": "*.bin\n",
      ".gitignore": "*.txt\n",
      "a.bin": "",
      "a.txt": "",
      "sub/.gitignore": "b.txt",
      "sub/b.txt": "",
    });
    expect(await paths()).toEqual([".gitignore", ".skyignore", "a.txt", "sub", "sub/.gitignore", "sub/b.txt"]);
  });

  test("ignore files count only when asked", async () => {
    write({ ".gitignore": "*", a: "" });
    expect(await paths({ ignoreFilesFrom: undefined })).toEqual([".gitignore", "a"]);
  });

  test("links are listed with their target and never followed", async () => {
    write({ "dir/file": "" });
    symlinkSync("dir", join(root, "to-dir"));
    symlinkSync("/etc/passwd", join(root, "outside"));
    symlinkSync(".", join(root, "loop"));
    const entries = await list();
    expect(entries.filter((entry) => entry.kind === "link").map(({ path, target }) => [path, target])).toEqual([
      ["loop", "."],
      ["outside", "/etc/passwd"],
      ["to-dir", "dir"],
    ]);
    expect(entries.map((entry) => entry.path)).toEqual(["dir", "dir/file", "loop", "outside", "to-dir"]);
  });

  test("keeps the permission bits", async () => {
    write({ run: "" });
    chmodSync(join(root, "run"), 0o751);
    expect((await list())[0]?.mode).toBe(0o751);
  });

  test("names sockets and the like instead of uploading them", async () => {
    const server = createServer().listen(join(root, "s"));
    await new Promise((resolve) => server.once("listening", resolve));
    const skipped: string[] = [];
    expect(await paths({ onSkipped: (path) => skipped.push(path) })).toEqual([]);
    expect(skipped).toEqual(["s"]);
    await new Promise((resolve) => server.close(resolve));
  });

  test("10,000 files need no memory beyond their entries", async () => {
    for (let d = 0; d < 100; d++) {
      mkdirSync(join(root, `d${d}`));
      for (let f = 0; f < 100; f++) writeFileSync(join(root, `d${d}`, `f${f}`), "");
    }
    let count = 0;
    for await (const _ of walkTree(root, { ignoreFilesFrom: "/" })) count++;
    expect(count).toBe(10_100);
  });

  test("a missing root is named", async () => {
    rmSync(root, { recursive: true });
    await expect(list()).rejects.toThrow(`${root} does not exist.`);
  });

  test("stops when aborted", async () => {
    write({ a: "" });
    await expect(list({ signal: AbortSignal.abort(new Error("cancelled")) })).rejects.toThrow("cancelled");
  });
});
