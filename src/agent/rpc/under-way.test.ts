import { expect, test } from "vitest";
import { UnderWay } from "./under-way.ts";

test("the same key is carried out once, also after its end; another, and none, by itself", async () => {
  const underWay = new UnderWay<number>();
  let runs = 0;
  const run = (): Promise<number> => Promise.resolve((runs += 1));
  expect(await Promise.all([underWay.join("a", run), underWay.join("a", run), underWay.join("b", run)])).toEqual([
    1, 1, 2,
  ]);
  expect(await underWay.join("a", run)).toBe(1);
  expect(await Promise.all([underWay.join(undefined, run), underWay.join(undefined, run)])).toEqual([3, 4]);
});

test("what has failed is done anew", async () => {
  const underWay = new UnderWay<string>();
  await expect(underWay.join("a", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  await expect(underWay.join("a", () => Promise.resolve("yes"))).resolves.toBe("yes");
});
