import { expect, test } from "vitest";
import type { InstanceType } from "../../../catalog/instance-type.ts";
import { TypeBook } from "./type-book.ts";

function typed(name: string): InstanceType {
  const nothing = { memoryGib: undefined, accelerator: undefined, localDisk: undefined, efaInterfaces: undefined };
  return { name, vcpus: 2, isGpu: false, arch: "x86_64", ...nothing };
}

function asker(fail = false) {
  const asked: string[][] = [];
  const ask = (names: readonly string[]): Promise<readonly InstanceType[]> => {
    asked.push([...names]);
    return fail ? Promise.reject(new Error("no")) : Promise.resolve(names.map(typed));
  };
  return { asked, ask };
}

test("each type is asked for once, whatever the number of regions that sell it", async () => {
  const book = new TypeBook();
  book.add([typed("a")]);
  const [one, two] = [asker(), asker()];
  const found = await Promise.all([book.describe(["a", "b", "c"], one.ask), book.describe(["b", "d"], two.ask)]);
  expect(found.map((types) => types.map(({ name }) => name))).toEqual([
    ["a", "b", "c"],
    ["b", "d"],
  ]);
  expect([one.asked, two.asked]).toEqual([[["b", "c"]], [["d"]]]);
});

test("a region that fails leaves the others to ask themselves", async () => {
  const book = new TypeBook();
  const [broken, good] = [asker(true), asker()];
  const [first, second] = await Promise.allSettled([book.describe(["a"], broken.ask), book.describe(["a"], good.ask)]);
  expect([first.status, second.status]).toEqual(["rejected", "fulfilled"]);
  expect(good.asked).toEqual([["a"]]);
  await expect(new TypeBook().describe(["a"], asker(true).ask)).rejects.toThrow("no");
});

test("a type that the region does not describe is left out", async () => {
  expect(await new TypeBook().describe(["a"], () => Promise.resolve([]))).toEqual([]);
});
