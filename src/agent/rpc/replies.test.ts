import { expect, test } from "vitest";
import { systemClock } from "../../shared/clock.ts";
import { JobStore } from "../jobs/job-store.ts";
import { Replies } from "./replies.ts";

test("a key is carried out once, while it runs and afterwards; a failure may be repeated", async () => {
  const store = new JobStore(":memory:");
  const replies = new Replies(store, systemClock);
  let runs = 0;
  const run = (): Promise<number> => {
    runs += 1;
    return Promise.resolve(runs);
  };
  expect(await Promise.all([replies.once("a", run), replies.once("a", run)])).toEqual([1, 1]);
  expect(await replies.once("a", run)).toBe(1);
  expect(await new Replies(store, systemClock).once("a", run)).toBe(1);
  expect(await replies.once("b", run)).toBe(2);
  await expect(replies.once("c", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(await replies.once("c", run)).toBe(3);
  store.close();
});
