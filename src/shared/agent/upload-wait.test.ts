import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { abortAfter, secondsOf, type UploadWait } from "./upload-wait.ts";

test.each<[UploadWait | undefined, number]>([
  [undefined, 600],
  [0, 0],
  [2, 2],
  ["unlimited", Infinity],
])("a wait of %s is one of %s seconds", (wait, seconds) => {
  expect(secondsOf(wait)).toBe(seconds);
});

test("a wait of no seconds is over", async () => {
  const signal = abortAfter(0);
  while (!signal.aborted) await setImmediate();
  expect(signal.reason).toMatchObject({ name: "TimeoutError" });
});

test.each([Infinity, 1e15, 2 ** 31])("a wait of %s seconds is not cut by what timers can hold", async (seconds) => {
  const signal = abortAfter(seconds);
  const short = abortAfter(0.001);
  // A timer that was set to too much would have ended with this one.
  while (!short.aborted) await setImmediate();
  expect(signal.aborted).toBe(false);
});
