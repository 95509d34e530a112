import { expect, test } from "vitest";
import { forEachParallel } from "./parallel.ts";

test("every item is done once, never more than the limit at a time", async () => {
  const seen: number[] = [];
  let running = 0;
  let most = 0;
  await forEachParallel([5, 6, 7, 8, 9], 2, async (item, index) => {
    running += 1;
    most = Math.max(most, running);
    await Promise.resolve();
    seen.push(item * 10 + index);
    running -= 1;
  });
  expect(seen.sort((a, b) => a - b)).toEqual([50, 61, 72, 83, 94]);
  expect(most).toBe(2);
});

test("a failure waits for what is under way, starts nothing more and is thrown", async () => {
  const gate = Promise.withResolvers<void>();
  const finished: number[] = [];
  const work = forEachParallel([1, 2, 3], 2, async (item) => {
    if (item === 1) throw new Error("no");
    await gate.promise;
    finished.push(item);
  });
  gate.resolve();
  await expect(work).rejects.toThrow("no");
  expect(finished).toEqual([2]);
});
