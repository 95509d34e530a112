import { expect, test } from "vitest";
import { EventLog } from "./job-events.ts";

const node = (index: number) => ({ type: "node", index, isAlive: true, reason: "" }) as const;

test("events are numbered and replayed after any number", () => {
  const log = new EventLog();
  let calls = 0;
  const stop = log.onEvent(() => (calls += 1));
  for (let index = 0; index < 5; index += 1) log.add(node(index));
  expect(log.after(0, 100).map((event) => event.seq)).toEqual([1, 2, 3, 4, 5]);
  expect(log.after(3, 100).map((event) => event.seq)).toEqual([4, 5]);
  expect(log.after(1, 2).map((event) => event.seq)).toEqual([2, 3]);
  expect(log.after(5, 100)).toEqual([]);
  stop();
  log.add(node(9));
  expect(calls).toBe(5);
});

test("memory is bounded; the latest of each node survives", () => {
  const log = new EventLog();
  for (let round = 0; round < 30_000; round += 1) log.add(node(round % 7));
  const kept = log.after(0, 1_000_000);
  expect(kept.length).toBeLessThan(11_000);
  expect(new Set(kept.map((event) => (event.type === "node" ? event.index : -1))).size).toBe(7);
  expect(kept.at(-1)?.seq).toBe(30_000);
  expect(kept.map((event) => event.seq)).toEqual(kept.map((event) => event.seq).sort((a, b) => a - b));
});
