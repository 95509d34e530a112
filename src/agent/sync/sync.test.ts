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
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import { PART_STEP_BYTES, type SyncEntry } from "../../shared/agent/protocol.ts";
import { BLOCK_BYTES, encodeBlock, type EncodedBlock, type SyncBlock } from "../../shared/agent/sync-blocks.ts";
import type { NodeSync } from "../node/cluster-node.ts";
import { resolveDestination } from "./dest.ts";
import { decodeBlocks } from "./decode-blocks.ts";
import { FileTree } from "./file-tree.ts";
import type { PartsInUse } from "./large-files.ts";
import { beginSync } from "./receive-files.ts";
import { explainWriteError } from "./write-errors.ts";

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

const inUse: PartsInUse = new Map();

const begin = (dest: string, entries: readonly SyncEntry[], key = "k"): Promise<NodeSync> =>
  beginSync({ key, dest, entries }, { home, mayUseSudo: false, partsInUse: inUse });

/** Blocks as they come from the network, a byte at a time: they are cut anywhere. */
function blocks(...all: readonly Omit<SyncBlock, "contentBytes" | "isCompressed">[]): AsyncIterable<EncodedBlock> {
  const encoded = all.map((block) => encodeBlock({ ...block, contentBytes: block.body.length, isCompressed: false }));
  return decodeBlocks(Readable.from(Array.from(Buffer.concat(encoded), (byte) => Uint8Array.of(byte))));
}

async function sync(dest: string, entries: readonly SyncEntry[], content = ""): Promise<readonly number[]> {
  const receiver = await begin(dest, entries);
  const { need: files } = receiver;
  try {
    if (files.length > 0) {
      const arriving = blocks({ files, offset: 0, body: Buffer.from(content) });
      for await (const block of arriving) await receiver.write(block);
    }
    await receiver.finish();
  } catch (error) {
    receiver.abort(error);
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
  await sync("~/x", [{ ...file("", 5), mtimeMs: MTIME + 5000 }], "newer");
  expect(readFileSync(join(home, "x"), "utf8")).toBe("newer");
});

const BIG = 3 * PART_STEP_BYTES + 5;
const big = Buffer.from(Array.from({ length: 4096 }, (_, at) => at * 7 + (at >> 8)));
const bigContent = Buffer.alloc(BIG, big);
const lost = new AgentPeerError("CLOSED", "gone");

/** Writes pieces of the large file from an offset up to another. */
async function writePieces(receiver: NodeSync, from: number, to: number): Promise<void> {
  for (let offset = from; offset < to; offset += BLOCK_BYTES) {
    const body = bigContent.subarray(offset, Math.min(to, offset + BLOCK_BYTES));
    const block = { files: [0], offset, contentBytes: body.length, isCompressed: false, body };
    await receiver.write({ ...block, encoded: encodeBlock(block) });
  }
}

const hashOf = (bytes: number): string => createHash("sha256").update(bigContent.subarray(0, bytes)).digest("hex");

test("a large file goes on where a lost connection cut it; it replaces the old one whole", async () => {
  await sync("~/w", [file("big", 3)], "old");
  const entries = [{ ...file("big", BIG), mtimeMs: MTIME + 5000 }];
  const first = await begin("~/w", entries);
  expect(first.parts).toEqual([]);
  await writePieces(first, 0, 2 * PART_STEP_BYTES + BLOCK_BYTES);
  first.abort(lost);
  expect(readFileSync(join(home, "w/big"), "utf8")).toBe("old");
  const second = await begin("~/w", entries);
  expect(second.parts).toEqual([{ index: 0, marks: [hashOf(PART_STEP_BYTES), hashOf(2 * PART_STEP_BYTES)] }]);
  await writePieces(second, 2 * PART_STEP_BYTES, BIG);
  await second.finish();
  expect(readFileSync(join(home, "w/big")).equals(bigContent)).toBe(true);
  expect(readdirSync(join(home, "w"))).toEqual(["big"]);
});

test("a repeated sync takes a part over from one whose caller is gone; another request does not touch it", async () => {
  const entries = [file("big", BIG)];
  const first = await begin("~/w", entries);
  await writePieces(first, 0, PART_STEP_BYTES);
  const other = await begin("~/w", entries, "other");
  expect(other.parts).toEqual([]);
  const again = await begin("~/w", entries);
  expect(again.parts).toHaveLength(1);
  await expect(writePieces(first, PART_STEP_BYTES, BIG)).rejects.toMatchObject({ agentCode: "CLOSED" });
  first.abort(lost);
  await writePieces(other, 0, BIG);
  await writePieces(again, PART_STEP_BYTES, BIG);
  await Promise.all([other.finish(), again.finish()]);
  expect(readFileSync(join(home, "w/big")).equals(bigContent)).toBe(true);
  expect(readdirSync(join(home, "w"))).toEqual(["big"]);
  expect(inUse.size).toBe(0);
});

test("a failure that is no cut leaves nothing half done; pieces out of order are refused", async () => {
  const receiver = await begin("~/w", [file("big", BIG)]);
  await writePieces(receiver, 0, PART_STEP_BYTES);
  const outOfOrder = writePieces(receiver, 2 * PART_STEP_BYTES, BIG);
  await expect(outOfOrder).rejects.toMatchObject({ agentCode: "BAD_PARAMS" });
  receiver.abort(new AgentPeerError("NO_SPACE", "full"));
  expect(readdirSync(join(home, "w"))).toEqual([]);
});

test("what an agent left half written that is gone is taken away; what is under way, or the user's, stays", () => {
  const left = (name: string, seconds: number): void => {
    writeFileSync(join(home, name), "half");
    utimesSync(join(home, name), seconds, seconds);
  };
  mkdirSync(join(home, "d"));
  const now = Date.now() / 1000;
  left(".a.txt.0123abcd.sky-sync", 1);
  left("d/.b.0123abcd.sky-sync", 1);
  left(".a.txt.4567cdef.sky-sync", now);
  left(".a.txt.0123abcd.sky-part", 1);
  left(".a.txt.mine.sky-sync", 1);
  new FileTree(home).ensureParent(file("d/b", 1));
  expect(readdirSync(home).sort()).toEqual([
    ".a.txt.0123abcd.sky-part",
    ".a.txt.4567cdef.sky-sync",
    ".a.txt.mine.sky-sync",
    "d",
  ]);
  expect(readdirSync(join(home, "d"))).toEqual([]);
});

test("what does not fit is refused before anything is sent", async () => {
  const failed = begin("~/w", [file("a", 2 ** 52)]);
  await expect(failed).rejects.toMatchObject({ agentCode: "NO_SPACE" });
  await expect(failed).rejects.toThrow(
    /^No space is left on the node for ~\/w: it needs 4294967296 MiB more, and \d+ MiB/u,
  );
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

test("a file at the destination of a tree stays, and is told", async () => {
  writeFileSync(join(home, "d"), "mine");
  for (const dest of ["~/d", "~/d/below"]) {
    await expect(sync(dest, [file("a", 1)], "a")).rejects.toThrow(`${home}${dest.slice(1)} has to be a directory, but`);
  }
  expect(readFileSync(join(home, "d"), "utf8")).toBe("mine");
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
