import { duplexPair } from "node:stream";
import { expect, test } from "vitest";
import type { Clock } from "../clock.ts";
import { createDuplexPair, duplexOverStream, type ByteDuplex } from "./byte-duplex.ts";
import { AgentPeer } from "./peer.ts";
import { AgentPeerError } from "./peer-error.ts";
import { DEFAULT_WINDOW_BYTES } from "./peer-stream.ts";
import type { MethodHandlers, StreamHandlers } from "./peer-types.ts";

interface Methods {
  readonly add: { readonly params: { readonly a: number; readonly b: number }; readonly result: number };
  readonly fail: { readonly params: { readonly kind: "typed" | "bug" }; readonly result: null };
  readonly hang: { readonly params: null; readonly result: null };
}
interface Streams {
  readonly count: {
    readonly params: { readonly bytes: number };
    readonly start: { size: number };
    readonly end: { sent: number };
  };
  readonly sum: { readonly params: null; readonly start: null; readonly end: number };
  readonly ticks: { readonly params: null; readonly start: null; readonly end: null };
}

interface Rig {
  readonly caller: AgentPeer<Methods, Streams>;
  readonly server: AgentPeer<Methods, Streams>;
  readonly aborted: Promise<unknown>;
  readonly bugs: unknown[];
  sentBytes: () => number;
}

function createRig(ends: readonly [ByteDuplex, ByteDuplex] = createDuplexPair()): Rig {
  const aborted = Promise.withResolvers<unknown>();
  const bugs: unknown[] = [];
  let sent = 0;
  const hangUntilAbort = (signal: AbortSignal): Promise<never> =>
    new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => {
        aborted.resolve(signal.reason);
        reject(signal.reason as Error);
      });
    });
  const methods: MethodHandlers<Methods> = {
    add: ({ a, b }) => Promise.resolve(a + b),
    fail: ({ kind }) =>
      Promise.reject(
        kind === "bug"
          ? new TypeError("oops")
          : new AgentPeerError("JOB_NOT_FOUND", "Job 9 not found.", { hint: "look" }),
      ),
    hang: (_params, { signal }) => hangUntilAbort(signal),
  };
  const streams: StreamHandlers<Streams> = {
    count: async ({ bytes }, stream) => {
      stream.start({ size: bytes });
      for (sent = 0; sent < bytes; sent += 100_000) await stream.send(new Uint8Array(100_000).fill(sent / 100_000));
      return { sent };
    },
    sum: async (_params, stream) => {
      stream.start(null);
      let sum = 0;
      for await (const chunk of stream.chunks) for (const byte of chunk) sum += byte;
      return sum;
    },
    ticks: async (_params, stream) => {
      stream.start(null);
      await stream.event({ seq: 1 });
      await stream.event({ seq: 2 });
      return hangUntilAbort(stream.signal);
    },
  };
  const server = new AgentPeer<Methods, Streams>(ends[1], {
    role: "listener",
    methods,
    streams,
    keepaliveMs: 0,
    onHandlerError: (_method, error) => bugs.push(error),
  });
  const caller = new AgentPeer<Methods, Streams>(ends[0], { role: "dialer", keepaliveMs: 0 });
  return { caller, server, aborted: aborted.promise, bugs, sentBytes: () => sent };
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await Promise.resolve();
}

test("calls run at once and answer to their callers", async () => {
  const { caller } = createRig();
  const sums = await Promise.all([1, 2, 3].map((a) => caller.call("add", { a, b: 10 })));
  expect(sums).toEqual([11, 12, 13]);
});

test("errors keep code, message and hint; bugs are reported to the agent's log", async () => {
  const { caller, bugs } = createRig();
  await expect(caller.call("fail", { kind: "typed" })).rejects.toMatchObject({
    agentCode: "JOB_NOT_FOUND",
    message: "Job 9 not found.",
    hint: "look",
  });
  await expect(caller.call("fail", { kind: "bug" })).rejects.toMatchObject({ agentCode: "INTERNAL", message: "oops" });
  expect(bugs).toHaveLength(1);
});

test("an unknown method, also one of Object.prototype, is answered", async () => {
  const { caller } = createRig();
  const untyped = caller as unknown as AgentPeer<Record<string, { params: null; result: null }>>;
  await expect(untyped.call("toString", null)).rejects.toMatchObject({ agentCode: "UNKNOWN_METHOD" });
});

test("a cancelled call rejects with the reason and aborts the handler", async () => {
  const { caller, aborted } = createRig();
  const controller = new AbortController();
  const call = caller.call("hang", null, { signal: controller.signal });
  controller.abort(new Error("enough"));
  await expect(call).rejects.toThrow("enough");
  expect(await aborted).toMatchObject({ agentCode: "CLOSED" });
});

test("a stream carries every byte in order, and no more than the window ahead of its reader", async () => {
  const { caller, sentBytes } = createRig();
  const stream = caller.open("count", { bytes: 5_000_000 });
  expect(await stream.start).toEqual({ size: 5_000_000 });
  await turns(500);
  expect(sentBytes()).toBeGreaterThan(DEFAULT_WINDOW_BYTES / 2);
  expect(sentBytes()).toBeLessThanOrEqual(DEFAULT_WINDOW_BYTES);
  let at = 0;
  for await (const chunk of stream.chunks) {
    for (const byte of chunk) {
      if (byte !== Math.floor(at / 100_000)) throw new Error(`wrong byte at ${at}`);
      at += 1;
    }
  }
  expect(at).toBe(5_000_000);
  expect(await stream.end).toEqual({ sent: 5_000_000 });
});

test("a caller sends data up with backpressure", async () => {
  const { caller } = createRig();
  const stream = caller.open("sum", null);
  await stream.start;
  for (let part = 0; part < 30; part += 1) await stream.send(new Uint8Array(100_000).fill(1));
  stream.endSend();
  expect(await stream.end).toBe(3_000_000);
});

test("events arrive; cancelling a stream aborts its handler and ends its reader", async () => {
  const { caller, aborted } = createRig();
  const stream = caller.open("ticks", null);
  const seen: unknown[] = [];
  const reading = (async () => {
    for await (const event of stream.events) {
      seen.push(event);
      if (seen.length === 2) stream.cancel();
    }
  })();
  await expect(reading).rejects.toMatchObject({ agentCode: "CLOSED" });
  expect(seen).toEqual([{ seq: 1 }, { seq: 2 }]);
  await aborted;
});

test("a lost connection rejects what is under way, on both sides, and later calls", async () => {
  const { caller, server, aborted } = createRig();
  const call = caller.call("hang", null);
  const stream = caller.open("ticks", null);
  await stream.start;
  server.close();
  await expect(call).rejects.toMatchObject({ agentCode: "CLOSED" });
  await expect(stream.end).rejects.toMatchObject({ agentCode: "CLOSED" });
  await expect(caller.call("add", { a: 1, b: 2 })).rejects.toMatchObject({ agentCode: "CLOSED" });
  await expect(caller.open("ticks", null).start).rejects.toMatchObject({ agentCode: "CLOSED" });
  await aborted;
});

test("both sides may call; ids do not clash", async () => {
  const [a, b] = createDuplexPair();
  const methods = { add: ({ a: x, b: y }: { a: number; b: number }) => Promise.resolve(x * y) };
  const left = new AgentPeer<Methods, Streams>(a, { role: "dialer", methods, keepaliveMs: 0 });
  const right = new AgentPeer<Methods, Streams>(b, { role: "listener", methods, keepaliveMs: 0 });
  expect(await Promise.all([left.call("add", { a: 2, b: 3 }), right.call("add", { a: 4, b: 5 })])).toEqual([6, 20]);
});

test("a sender waits while the connection is full", async () => {
  const [a, b] = createDuplexPair();
  let drain = (): void => undefined;
  let isFull = false;
  const writes: number[] = [];
  const slow: ByteDuplex = {
    ...delegate(b),
    write: (bytes) => {
      writes.push(bytes.length);
      b.write(bytes);
      return !isFull;
    },
    onDrain: (listener) => {
      drain = listener;
    },
  };
  const { caller } = createRig([a, slow]);
  isFull = true;
  const stream = caller.open("count", { bytes: 1_000_000 });
  await stream.start;
  await turns(200);
  const before = writes.length;
  expect(before).toBeLessThan(6);
  isFull = false;
  drain();
  let total = 0;
  for await (const chunk of stream.chunks) total += chunk.length;
  expect(total).toBe(1_000_000);
});

test("a silent peer is given up after three gaps, but not because we slept", async () => {
  const [a] = createDuplexPair();
  let now = 0;
  const sleeps: (() => void)[] = [];
  const clock: Clock = {
    now: () => now,
    sleep: (_ms, options) =>
      new Promise((resolve, reject) => {
        sleeps.push(resolve);
        options?.signal?.addEventListener("abort", () => reject(new Error("over")));
      }),
  };
  const peer = new AgentPeer(a, { role: "dialer", clock, keepaliveMs: 1000 });
  const pass = async (ms: number): Promise<void> => {
    now += ms;
    sleeps.pop()?.();
    await turns(10);
  };
  for (const ms of [1000, 1000, 60_000, 1000, 1000]) await pass(ms);
  expect(peer.isClosed).toBe(false);
  await pass(1000);
  expect(await peer.closed).toMatchObject({ agentCode: "TIMEOUT" });
});

test("garbage closes the connection instead of crashing", async () => {
  const [a, b] = createDuplexPair();
  const peer = new AgentPeer(a, { role: "dialer", keepaliveMs: 0 });
  b.write(Buffer.from("SSH-2.0-OpenSSH_9.6\r\n"));
  expect(await peer.closed).toMatchObject({ message: "The peer does not speak the agent protocol." });
});

test("node streams work as connections", async () => {
  const [left, right] = duplexPair();
  const { caller } = createRig([duplexOverStream(left), duplexOverStream(right)]);
  const stream = caller.open("count", { bytes: 3_000_000 });
  let total = 0;
  for await (const chunk of stream.chunks) total += chunk.length;
  expect(total).toBe(3_000_000);
  caller.close();
  await caller.closed;
});

function delegate(end: ByteDuplex): ByteDuplex {
  return {
    write: (bytes) => end.write(bytes),
    onData: (listener) => end.onData(listener),
    onDrain: (listener) => end.onDrain(listener),
    onClose: (listener) => end.onClose(listener),
    destroy: () => end.destroy(),
  };
}
