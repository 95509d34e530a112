import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createHash } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { FetchFile } from "../../shared/agent/protocol.ts";
import { systemClock } from "../../shared/clock.ts";
import type { ClusterNode, NodeSyncParams } from "../node/cluster-node.ts";
import { fetchFiles } from "./fetch-files.ts";
import { readSmall } from "./fetch-ranges.ts";
import { openConnections } from "./http-get.ts";
import { passOn } from "./pass-on.ts";
import { beginSync } from "./receive-files.ts";

const KIB = 1024;
const SECOND = 1_700_000_000_000;
const connections = await openConnections();
const clock = { ...systemClock, sleep: () => Promise.resolve() };

let root: string;
let server: Server;
let url: string;
let asked: string[];
let contents: Map<string, string>;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "pass-on-"));
  asked = [];
  contents = new Map();
  server = createServer((request, response) => {
    const name = (request.url ?? "").slice(1);
    asked.push(name);
    const content = contents.get(name);
    response.writeHead(content === undefined ? 404 : 200).end(content);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(root, { recursive: true, force: true });
});

type Node = Pick<ClusterNode, "index" | "isAlive" | "sync" | "fetch">;

/** Of nodes only what this is about: the real receiving end, below a HOME of its own. */
function makeNode(index: number): Node {
  const home = join(root, `n${index}`);
  mkdirSync(home, { recursive: true });
  const options = { home, mayUseSudo: false };
  return {
    index,
    isAlive: true,
    sync: (params: NodeSyncParams) => beginSync(params, { ...options, partsInUse: new Map() }),
    fetch: (wish, signal) => fetchFiles(wish, { ...options, clock, signal, connections }),
  };
}

function offer(name: string, content: string, etag = createHash("sha256").update(content).digest("hex")): FetchFile {
  contents.set(name, content);
  return { path: name, url: `${url}/${name}`, size: content.length, mtimeMs: SECOND, etag };
}

const { signal } = new AbortController();
const download = (file: FetchFile): Promise<Buffer> => readSmall({ file, signal, clock, connections });
const pass = (files: readonly FetchFile[], nodes: readonly Node[]) =>
  passOn({ key: "k", dest: "~/data", files }, { nodes, download, signal });
const indices = (receivers: ReadonlyMap<unknown, unknown>): readonly number[] =>
  [...receivers.keys()].map((node) => (node as Node).index);
const read = (index: number, name: string): string => readFileSync(join(root, `n${index}/data`, name), "utf8");

test("small files are downloaded once for all nodes, and arrive with their times; larger ones are left to them", async () => {
  const nodes = [0, 1, 2].map(makeNode);
  const many = Array.from({ length: 300 }, (_, index) => offer(`d${index % 3}/f${index}`, `${index}`.repeat(900)));
  const empty = offer("empty", "");
  const large = offer("large", "x".repeat(200 * KIB));
  const { rest, receivers } = await pass([...many, empty, large], nodes);
  expect(rest).toEqual([large]);
  const bytes = many.reduce((sum, { size = 0 }) => sum + size, 0);
  expect([...receivers.values()]).toEqual(nodes.map(() => ({ bytes, files: 301 })));
  expect(asked.toSorted()).toEqual(many.map(({ path }) => path).toSorted());
  for (const { index } of nodes) {
    for (const { path } of many) expect(read(index, path)).toBe(contents.get(path));
    expect(read(index, "empty")).toBe("");
    expect(Math.floor(statSync(join(root, `n${index}/data/d1/f1`)).mtimeMs / 1000)).toBe(SECOND / 1000);
  }
});

test("what the head would send for longer than requests take is left to the nodes: it depends on how many they are", async () => {
  const file = offer("f", "x".repeat(100 * KIB));
  expect((await pass([file], [0, 1, 2].map(makeNode))).rest).toEqual([]);
  expect((await pass([file], [3, 4, 5, 6].map(makeNode))).rest).toEqual([file]);
  expect((await pass([file], [makeNode(7)])).rest).toEqual([file]);
});

test("files that are there are not asked for; other content of the same second is, for those who lack it", async () => {
  const nodes = [0, 1, 2].map(makeNode);
  await pass([offer("a", "one"), offer("b", "same")], nodes);
  asked = [];
  expect((await pass([offer("a", "one"), offer("b", "same")], nodes)).receivers.size).toBe(3);
  expect(asked).toEqual([]);
  const files = [offer("a", "two"), offer("b", "same")];
  rmSync(join(root, "n1/data/b"));
  const { receivers } = await pass(files, nodes);
  expect(asked.toSorted()).toEqual(["a", "b"]);
  expect([...receivers.values()]).toEqual([
    { bytes: 3, files: 1 },
    { bytes: 7, files: 2 },
    { bytes: 3, files: 1 },
  ]);
  for (const { index } of nodes) expect([read(index, "a"), read(index, "b")]).toEqual(["two", "same"]);
  // The nodes themselves agree that all is there.
  for (const node of nodes)
    expect(await node.fetch({ dest: "~/data", files }, signal)).toMatchObject({ unchanged: 2, bytes: 0 });
});

test("a node that lacks files alone gets them by itself, and one that cannot place them keeps nobody from theirs", async () => {
  const nodes = [0, 1, 2].map(makeNode);
  mkdirSync(join(root, "n1/data/a/precious"), { recursive: true });
  const files = [offer("a", "one"), offer("b", "two")];
  const { receivers } = await pass(files, nodes);
  expect(indices(receivers)).toEqual([0, 2]);
  expect([read(0, "a"), read(2, "b")]).toEqual(["one", "two"]);
  expect(existsSync(join(root, "n1/data/a/precious"))).toBe(true);
  rmSync(join(root, "n1/data/a"), { recursive: true });
  asked = [];
  const alone = await pass(files, nodes);
  expect(indices(alone.receivers)).toEqual([0, 2]);
  expect(asked).toEqual([]);
});

test("files of a node that are where directories have to be stay", async () => {
  const nodes = [0, 1, 2].map(makeNode);
  mkdirSync(join(root, "n1/data"), { recursive: true });
  writeFileSync(join(root, "n1/data/a"), "mine");
  const { receivers } = await pass([offer("a/b", "one"), offer("c", "two")], nodes);
  expect(indices(receivers)).toEqual([0, 2]);
  expect([read(0, "a/b"), read(1, "a")]).toEqual(["one", "mine"]);
});

test("a receiver that breaks off in the middle ends its part alone", async () => {
  const nodes = [0, 1, 2].map(makeNode);
  const broken = makeNode(3);
  const aborted: unknown[] = [];
  const sync = async (params: NodeSyncParams) => {
    const receiver = await beginSync(params, { home: join(root, "n3"), mayUseSudo: false, partsInUse: new Map() });
    let blocks = 0;
    return {
      need: receiver.need,
      parts: receiver.parts,
      isDownload: true,
      write: (block: Parameters<typeof receiver.write>[0]) =>
        blocks++ === 0 ? receiver.write(block) : Promise.reject(new Error("gone")),
      finish: () => receiver.finish(),
      abort: (error: unknown) => void aborted.push(error),
    };
  };
  const files = Array.from({ length: 40 }, (_, index) => offer(`f${index}`, `${index % 10}`.repeat(50 * KIB)));
  const { receivers } = await pass(files, [...nodes, { ...broken, sync }]);
  expect(indices(receivers)).toEqual([0, 1, 2]);
  expect(aborted).toMatchObject([{ message: "gone" }]);
  for (const { index } of nodes) expect(readdirSync(join(root, `n${index}/data`))).toHaveLength(40);
});

test("who is away is not waited for, and neither is an agent that does not know such copies", async () => {
  const nodes = [0, 1].map(makeNode);
  const away: Node = { ...makeNode(2), isAlive: false, sync: () => new Promise(() => undefined) };
  const old: Node = {
    ...makeNode(3),
    sync: async (params) => {
      const { isDownload: _, ...receiver } = await makeNode(3).sync(params, signal);
      return { ...receiver, abort: () => undefined };
    },
  };
  const { receivers } = await pass([offer("a", "one")], [...nodes, away, old]);
  expect(indices(receivers)).toEqual([0, 1]);
});

test("a slow node holds the downloads up, instead of filling the head's memory", async () => {
  const slow = makeNode(1);
  const gate = Promise.withResolvers<void>();
  const sync = async (params: NodeSyncParams) => {
    const receiver = await slow.sync(params, signal);
    return {
      need: receiver.need,
      parts: receiver.parts,
      isDownload: true,
      write: (block: Parameters<typeof receiver.write>[0]) => gate.promise.then(() => receiver.write(block)),
      finish: () => receiver.finish(),
      abort: (error: unknown) => receiver.abort(error),
    };
  };
  const files = Array.from({ length: 300 }, (_, index) => offer(`f${index}`, `${index % 10}`.repeat(200 * KIB)));
  const passing = pass(files, [makeNode(0), { ...slow, sync }]);
  let before = -1;
  while (asked.length !== before) {
    before = asked.length;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  // Those under way, and three blocks of two files.
  expect(before).toBeLessThan(60);
  gate.resolve();
  expect((await passing).receivers.size).toBe(2);
  expect(readdirSync(join(root, "n1/data"))).toHaveLength(300);
});

test("what is there stays as it is, also behind a link that the user has made; nothing is made where there is no space", async () => {
  const nodes = [0, 1].map(makeNode);
  const files = [offer("sub/a", "one")];
  await pass(files, nodes);
  const disk = join(root, "disk");
  renameSync(join(root, "n0/data/sub"), disk);
  symlinkSync(disk, join(root, "n0/data/sub"));
  await pass(files, nodes);
  expect(lstatSync(join(root, "n0/data/sub")).isSymbolicLink()).toBe(true);
  const wish = { key: "k", dest: "~/more", files, restBytes: 2 ** 60 };
  expect((await passOn(wish, { nodes, download, signal })).receivers.size).toBe(0);
  expect(existsSync(join(root, "n0/more"))).toBe(false);
});

test("a refused download ends all of it, and leaves nothing half written", async () => {
  const nodes = [0, 1].map(makeNode);
  const lost = { ...offer("lost", "gone"), url: `${url}/nowhere` };
  await expect(pass([offer("a", "one"), lost], nodes)).rejects.toMatchObject({
    agentCode: "FETCH_REFUSED",
    message: `${url}/nowhere answered with HTTP status 404.`,
  });
  for (const { index } of nodes) expect(existsSync(join(root, `n${index}/data`))).toBe(false);
});
