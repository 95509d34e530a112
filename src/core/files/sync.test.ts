import { createCipheriv, createHash } from "node:crypto";
import {
  chmodSync,
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
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { PartsInUse } from "../../agent/sync/large-files.ts";
import { fanOutSync } from "../../agent/sync/fan-out.ts";
import { beginSync } from "../../agent/sync/receive-files.ts";
import type { ClusterNode } from "../../agent/node/cluster-node.ts";
import { createDuplexPair } from "../../shared/agent/byte-duplex.ts";
import type { StreamHandlers } from "../../shared/agent/peer-types.ts";
import { AgentPeer } from "../../shared/agent/peer.ts";
import type { AgentStreams } from "../../shared/agent/protocol.ts";
import { systemClock } from "../../shared/clock.ts";
import { syncTree, type SyncRequest, type SyncSummary } from "./sync.ts";

const MIB = 1024 * 1024;
const LONG_AGO = new Date(1_700_000_000_123);

let directory: string;
let source: string;
let homes: readonly string[];
let nodes: readonly ClusterNode[];
/** Bytes of content that the nodes have been sent, and after how many the connection is cut. */
let sent: number;
let cutAfter: number;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "sync-"));
  source = join(directory, "source");
  homes = ["n0", "n1"].map((name) => join(directory, name));
  for (const path of [source, ...homes]) mkdirSync(path);
  nodes = homes.map(nodeOf);
  sent = 0;
  cutAfter = Infinity;
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function nodeOf(home: string, index: number): ClusterNode {
  const partsInUse: PartsInUse = new Map();
  const sync: ClusterNode["sync"] = (params) => beginSync(params, { home, mayUseSudo: false, partsInUse });
  // Only what a sync asks of a node.
  return { index, sync } as ClusterNode;
}

/** A connection to the head's agent; the files arrive by the code that runs on nodes. */
function connect(): { readonly agent: AgentPeer; readonly cut: () => void } {
  const [near, far] = createDuplexPair();
  const streams: StreamHandlers<AgentStreams> = {
    put_files: (params, stream) => fanOutSync(params, { ...stream, chunks: counted(stream.chunks) }, nodes),
  };
  const listener = new AgentPeer(far, { role: "listener", streams, keepaliveMs: 0 });
  return { agent: new AgentPeer(near, { role: "dialer", keepaliveMs: 0 }), cut: () => listener.close() };
}

let cut: () => void = () => undefined;

async function* counted(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) {
    sent += chunk.length;
    yield chunk;
    if (sent >= cutAfter) cut();
  }
}

async function sync(fields: Partial<SyncRequest> = {}): Promise<SyncSummary> {
  const connection = connect();
  cut = connection.cut;
  const request = { key: "k", source, dest: "~/w", ignoreFilesFrom: "/", clock: systemClock };
  try {
    return await syncTree(connection.agent, { ...request, ...fields });
  } finally {
    connection.cut();
  }
}

function write(path: string, content: string | Uint8Array, mode = 0o644): void {
  const absolute = join(source, path);
  mkdirSync(dirname(absolute), { recursive: true });
  writeFileSync(absolute, content);
  chmodSync(absolute, mode);
  utimesSync(absolute, LONG_AGO, LONG_AGO);
}

/** Path, kind, mode and content of everything in a tree. */
function contentsOf(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .map((path) => {
      const absolute = join(root, path);
      const stats = lstatSync(absolute);
      if (stats.isSymbolicLink()) return `${path} -> ${readlinkSync(absolute)}`;
      const mode = (stats.mode & 0o7777).toString(8);
      if (stats.isDirectory()) return `${path}/ ${mode}`;
      const hash = createHash("sha256").update(readFileSync(absolute)).digest("hex").slice(0, 12);
      return `${path} ${mode} ${Math.round(stats.mtimeMs)} ${hash}`;
    })
    .sort();
}

/** Bytes that cannot be made smaller, and are the same in each run. */
function noise(bytes: number, seed: string): Buffer {
  const key = createHash("sha256").update(seed).digest().subarray(0, 16);
  return createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(bytes));
}

const placed = (): string[][] => homes.map((home) => contentsOf(join(home, "w")));

describe.each([
  ["a small tree", 3],
  ["a large tree, by its thread", 310],
])("%s", (_, count) => {
  test("arrives on all nodes as it is, once; then only what changed", async () => {
    for (let index = 0; index < count; index += 1) write(`d${index % 7}/f${index}`, "x".repeat(index));
    write("run.sh", "#!/bin/sh", 0o755);
    write("ünï\ncode -'\"$x", "odd");
    write("-rf", "dash");
    write("secret", "s", 0o600);
    write("read/only", "r", 0o444);
    write("large", noise(2 * MIB, "large"), 0o640);
    write("empty", "");
    mkdirSync(join(source, "none"));
    symlinkSync("run.sh", join(source, "inside"));
    symlinkSync("/etc/passwd", join(source, "outside"));
    chmodSync(join(source, "read"), 0o555);
    expect((await sync()).sentBytes).toBeGreaterThan(2 * MIB);
    const all = contentsOf(source);
    expect(placed()).toEqual([all, all]);
    expect(await sync()).toMatchObject({ sentBytes: 0 });
    write("run.sh", "#!/bin/no", 0o755);
    utimesSync(join(source, "run.sh"), 1_700_000_009, 1_700_000_009);
    expect(await sync()).toMatchObject({ sentBytes: 9 });
    chmodSync(join(source, "read"), 0o755);
  });

  test("only what is admitted arrives, and a refusal ends it", async () => {
    for (let index = 0; index < count; index += 1) write(`f${index}`, "x");
    mkdirSync(join(source, "a"));
    const all = contentsOf(source);
    await sync({ admits: ({ path }) => path !== "a" });
    expect(placed()).toEqual(homes.map(() => all.filter((line) => !line.startsWith("a/"))));
    write("new", "x");
    const admits = ({ path }: { readonly path: string }): boolean => {
      if (path === "new") throw new RangeError("It has to stay out.");
      return true;
    };
    await expect(sync({ key: "other", admits })).rejects.toThrow("It has to stay out.");
    expect(placed().flat().join("\n")).not.toMatch(/^new /mu);
  });

  test("a file that cannot be read is named", async () => {
    for (let index = 0; index < count; index += 1) write(`f${index}`, "x");
    write("gone", "x");
    const failing = sync({
      // Removed between the manifest and the content.
      clock: {
        ...systemClock,
        now: () => {
          rmSync(join(source, "gone"), { force: true });
          return systemClock.now();
        },
      },
    });
    await expect(failing).rejects.toMatchObject({
      code: "MISSING_FILE",
      message: `${join(source, "gone")} does not exist.`,
    });
  });
});

test("only the node that lacks a file is sent it", async () => {
  write("a", noise(MIB, "a"));
  await sync();
  rmSync(join(homes[1] ?? "", "w/a"));
  const before = statSync(join(homes[0] ?? "", "w/a")).ino;
  expect(await sync()).toMatchObject({ sentBytes: MIB });
  expect(statSync(join(homes[0] ?? "", "w/a")).ino).toBe(before);
  expect(existsSync(join(homes[1] ?? "", "w/a"))).toBe(true);
});

test("what can be made smaller travels compressed, the rest as it is", async () => {
  write("text", "line of a log file\n".repeat(50_000));
  await sync();
  expect(sent).toBeLessThan(50_000);
  write("noise", noise(MIB, "n"));
  sent = 0;
  await sync();
  expect(sent).toBeGreaterThan(MIB);
  expect(sent).toBeLessThan(MIB + 10_000);
});

describe("a large file whose transfer was cut", () => {
  const size = 18 * MIB;
  beforeEach(async () => {
    write("big", noise(size, "big"));
    cutAfter = 12 * MIB;
    await expect(sync()).rejects.toMatchObject({ agentCode: "CLOSED" });
    expect(homes.map((home) => existsSync(join(home, "w/big")))).toEqual([false, false]);
    cutAfter = Infinity;
    sent = 0;
  });

  test("goes on from there", async () => {
    await sync();
    expect(sent).toBeLessThan(12 * MIB);
    const all = contentsOf(source);
    expect(placed()).toEqual([all, all]);
  });

  test("goes on from what all nodes have; a node that has nothing is sent everything", async () => {
    rmSync(join(homes[1] ?? "", "w"), { recursive: true });
    await sync();
    expect(sent).toBeGreaterThan(size);
    const all = contentsOf(source);
    expect(placed()).toEqual([all, all]);
  });

  test("begins anew when it is another file by now, also one of the same size", async () => {
    write("big", noise(size, "other"));
    await sync({ key: "another launch" });
    expect(sent).toBeGreaterThan(size);
    const all = contentsOf(source);
    expect(placed()).toEqual([all, all]);
  });
});

test("a file that was written a moment ago is not trusted to be the same the next time", async () => {
  write("fresh", "one");
  const at = (ms: number) => ({ clock: { ...systemClock, now: () => LONG_AGO.getTime() + ms } });
  await sync(at(3));
  // Within the same step of the file system's clock: same size, same time.
  write("fresh", "two");
  expect(await sync(at(60_000))).toMatchObject({ sentBytes: 3 });
  expect(readFileSync(join(homes[1] ?? "", "w/fresh"), "utf8")).toBe("two");
  expect(await sync(at(60_000))).toMatchObject({ sentBytes: 0 });
});
