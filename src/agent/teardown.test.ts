import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ShutdownResult } from "../shared/agent/protocol.ts";
import type { StoppedNode, StopNode } from "./cluster/worker-protocol.ts";
import { EventLog } from "./jobs/job-events.ts";
import type { EndOptions } from "./mounts/node-mounts.ts";
import { Teardown } from "./teardown.ts";

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "teardown-"));
});
afterEach(() => rmSync(root, { recursive: true }));

test("a cluster that takes itself down says last what is lost with which node", async () => {
  const order: string[] = [];
  const note = (what: string) => (): number => order.push(what);
  const events = new EventLog();
  const worker = {
    index: 1,
    stopNode: (params: StopNode) => Promise.resolve(params.power === "down" ? { lost: ["b is not in s3://b."] } : {}),
  };
  const teardown = new Teardown({
    config: { index: 0, power: "leave" },
    paths: { state: join(root, "state.json"), hooks: join(root, "hooks") },
    container: { remove: () => Promise.resolve() },
    mounts: { end: () => Promise.resolve(["a is not in s3://b."]), writtenPlaces: () => [] },
    queue: { close: note("closed"), failUnfinished: note("failed") },
    autostop: { hooks: [] },
    log: { info: () => undefined, error: () => undefined },
    workers: new Map([[1, worker]]),
    events,
    exit: note("exit"),
  } as never);
  await teardown.stopSelf({ down: true, idleMinutes: 1 } as never);
  expect(events.after(0, 10)).toEqual([
    { seq: 1, type: "autostopping", down: true },
    { seq: 2, type: "lost", node: 0, what: "a is not in s3://b." },
    { seq: 3, type: "lost", node: 1, what: "b is not in s3://b." },
  ]);
  expect(order).toEqual(["closed", "failed", "exit"]);
  expect(JSON.parse(readFileSync(join(root, "state.json"), "utf8"))).toMatchObject({ state: "down" });
});

/** A cluster of two nodes whose head's uploads take until `sent`. */
function twoNodes(failUnfinished?: () => void) {
  const sent = Promise.withResolvers<readonly string[]>();
  const ends: EndOptions[] = [];
  const stops: StopNode[] = [];
  const order: string[] = [];
  const note = (what: string) => (): number => order.push(what);
  const end = (options: EndOptions): Promise<readonly string[]> => {
    ends.push(options);
    return sent.promise;
  };
  const stopNode = (params: StopNode): Promise<object> => {
    stops.push(params);
    return Promise.resolve({ lost: ["b"] });
  };
  const teardown = new Teardown({
    config: { index: 0 },
    paths: { hooks: join(root, "hooks") },
    container: { stop: () => Promise.resolve(), remove: () => Promise.resolve() },
    mounts: { end, writtenPlaces: () => [] },
    queue: { close: note("closed"), failUnfinished: failUnfinished ?? note("failed") },
    autostop: { hooks: [], hold: note("held"), release: note("released") },
    log: { info: () => undefined, error: () => undefined },
    workers: new Map([[1, { index: 1, stopNode }]]),
    exit: note("exit"),
  } as never);
  return { teardown, sent, ends, stops, order };
}

test.each([2, "unlimited"] as const)("every node waits for its uploads as it is told: %s", async (uploadWait) => {
  const { teardown, sent, ends, stops, order } = twoNodes();
  sent.resolve(["a"]);
  await expect(teardown.shutdown({ key: "k", jobs: "kill", uploadWait })).resolves.toEqual({
    lost: [
      { node: 0, what: "a" },
      { node: 1, what: "b" },
    ],
  });
  expect(ends).toEqual([{ forget: true, uploadWait }]);
  expect(stops).toEqual([{ key: "k", hooks: [], power: "none", container: "remove", uploadWait }]);
  // A cluster that is idle for long while its uploads go on must not stop itself beside.
  expect(order).toEqual(["closed", "held", "failed", "exit"]);
});

test("a server that says nothing of uploads leaves the time to the nodes", async () => {
  const { teardown, sent, ends, stops } = twoNodes();
  sent.resolve([]);
  await teardown.shutdown({ key: "k", jobs: "kill", hookEvent: "stop" });
  expect(ends).toEqual([{ forget: false }]);
  expect(stops).toEqual([{ key: "k", hooks: [], power: "none", container: "stop" }]);
});

test("who asks again with the same key gets the answer of the first; another key is carried out beside it", async () => {
  const { teardown, sent, ends, order } = twoNodes();
  const params = { key: "k", jobs: "kill", uploadWait: "unlimited" } as const;
  const first = teardown.shutdown(params);
  const again = teardown.shutdown(params);
  const other = teardown.shutdown({ ...params, key: "other", uploadWait: 0 });
  sent.resolve([]);
  expect(await again).toBe(await first);
  await other;
  expect(ends.map(({ uploadWait }) => uploadWait)).toEqual(["unlimited", 0]);
  expect(order.filter((what) => what === "exit")).toHaveLength(2);
});

test("a cluster that could not be ended stops itself again when it is idle, and is ended when it is told again", async () => {
  let isFull = true;
  const failUnfinished = (): void => {
    if (isFull) throw new Error("The disk is full.");
  };
  const { teardown, sent, order } = twoNodes(failUnfinished);
  sent.resolve([]);
  await expect(teardown.shutdown({ key: "k", jobs: "kill" })).rejects.toThrow("The disk is full.");
  expect(order).toEqual(["closed", "held", "released"]);
  isFull = false;
  await teardown.shutdown({ key: "k", jobs: "kill" });
  expect(order.slice(3)).toEqual(["closed", "held", "exit"]);
});

test.each([
  ["stop", { isKept: true }],
  ["down", {}],
] as const)("%s says of a worker that gives no answer what may not be uploaded there", async (hookEvent, fate) => {
  const gone = (): Promise<never> => Promise.reject(new Error("The connection is gone."));
  const untold = (node: number): object => ({
    node,
    what: `Node ${node} could not be asked for what was not uploaded yet of ~/a, /b.`,
    ...fate,
  });
  const shutdown = (places: readonly string[]): Promise<ShutdownResult> =>
    new Teardown({
      config: { index: 0 },
      paths: { hooks: "" },
      container: { stop: () => Promise.resolve(), remove: () => Promise.resolve() },
      mounts: { end: () => Promise.resolve([]), writtenPlaces: () => places },
      queue: { close: () => undefined, failUnfinished: () => Promise.resolve() },
      autostop: { hooks: [], hold: () => undefined, release: () => undefined },
      log: { info: () => undefined, error: () => undefined },
      workers: new Map([
        [1, { index: 1, stopNode: gone }],
        // One that has no connection.
        [2, { index: 2, stopNode: () => Promise.resolve({}) }],
        [3, { index: 3, stopNode: () => Promise.resolve({ lost: [] }) }],
      ]),
      exit: () => undefined,
    } as never).shutdown({ key: "k", jobs: "kill", hookEvent });
  expect(await shutdown(["~/a", "/b"])).toEqual({ lost: [untold(1), untold(2)] });
  expect(await shutdown([])).toEqual({ lost: [] });
});

test("workers that go are asked for what they could not upload, and nobody is stopped", async () => {
  const asked: number[] = [];
  const worker = (index: number, answer: Promise<StoppedNode>): [number, object] => [
    index,
    { index, lastFlush: () => (asked.push(index), answer) },
  ];
  const older = Promise.reject(new Error("This agent does not know last_flush."));
  const teardown = new Teardown({
    mounts: { writtenPlaces: () => ["~/a"] },
    log: { info: () => undefined },
    workers: new Map([
      worker(1, Promise.resolve({})),
      worker(2, Promise.resolve({ lost: ["b is not in s3://b."] })),
      worker(3, older),
    ]),
  } as never);
  const flushed = teardown.flushWorkers(2, new AbortController().signal);
  expect(teardown.isFlushing).toBe(true);
  expect(await flushed).toEqual({
    lost: [
      { node: 2, what: "b is not in s3://b." },
      { node: 3, what: "Node 3 could not be asked for what was not uploaded yet of ~/a." },
    ],
  });
  expect(asked).toEqual([2, 3]);
  expect(teardown.isFlushing).toBe(false);
});
