import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { StoredObject } from "../ports/object-store.ts";
import { CopyList, type LeftOutReason } from "./copy-list.ts";
import type { BucketMount } from "./mounts.ts";

const mountOf = (prefix: string): BucketMount => ({ prefix }) as BucketMount;
const object = (key: string, size = 1): StoredObject => ({ key, size, modifiedMs: 0, etag: "" });
const never = new AbortController().signal;

/** Lists `count` objects; tells how far it got. */
function makeListing(count: number): { readonly objects: AsyncGenerator<StoredObject>; readonly listed: () => number } {
  let listed = 0;
  async function* list(): AsyncGenerator<StoredObject> {
    for (; listed < count; listed += 1) yield object(`f${listed}`, 10);
  }
  return { objects: list(), listed: () => listed };
}

async function takeAll(list: CopyList): Promise<readonly string[]> {
  const keys: string[] = [];
  for (let batch = await list.next(); batch !== undefined; batch = await list.next())
    keys.push(...batch.objects.map(({ key }) => key));
  return keys;
}

const fill = (
  list: CopyList,
  keys: readonly string[],
  onLeftOut: (key: string, reason: LeftOutReason) => void,
): Promise<void> => {
  async function* objects(): AsyncGenerator<StoredObject> {
    for (const key of keys) yield object(key);
  }
  return list.fill(objects(), { signal: never, onLeftOut });
};

test("all objects come in batches, in order, once, however many take them", async () => {
  const list = new CopyList(mountOf(""));
  const { objects } = makeListing(25_001);
  const filling = list.fill(objects, { signal: never, onLeftOut: () => undefined });
  const taken = await Promise.all([takeAll(list), takeAll(list), takeAll(list)]);
  await filling;
  const all = taken.flat().map((key) => Number(key.slice(1)));
  expect(all.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 25_001 }, (_, index) => index));
  expect([list.files, list.isOver]).toEqual([25_001, true]);
});

test("the first batch knows the bytes of all objects of a small bucket, and of the first 10,000 of a large one", async () => {
  for (const [count, known] of [
    [9000, 9000],
    [50_000, 10_000],
  ] as const) {
    const list = new CopyList(mountOf(""));
    const { objects } = makeListing(count);
    void list.fill(objects, { signal: never, onLeftOut: () => undefined });
    const first = await list.next();
    expect(first?.bytes).toBe(5000);
    expect(first?.restBytes).toBeGreaterThanOrEqual(known * 10 - 5000);
    expect((first?.restBytes ?? 0) + 5000).toBeLessThanOrEqual(count * 10);
    await takeAll(list);
  }
});

test("listing waits for those who copy, and ends when they give up", async () => {
  const list = new CopyList(mountOf(""));
  const { objects, listed } = makeListing(1_000_000);
  const gone = new AbortController();
  const filling = list.fill(objects, { signal: gone.signal, onLeftOut: () => undefined });
  for (let round = 0; round < 400_000 && listed() < 99_999; round += 1) await Promise.resolve();
  for (let round = 0; round < 50_000; round += 1) await Promise.resolve();
  expect(listed()).toBe(99_999);
  await list.next();
  for (let round = 0; round < 50_000; round += 1) await Promise.resolve();
  expect(listed()).toBe(100_499);
  gone.abort(new Error("given up"));
  await expect(filling).rejects.toThrow("given up");
});

test("a listing that fails wakes those who wait, and its failure is thrown", async () => {
  const list = new CopyList(mountOf(""));
  // oxlint-disable-next-line require-yield
  async function* broken(): AsyncGenerator<StoredObject> {
    await Promise.resolve();
    throw new Error("no rights");
  }
  const next = list.next();
  await expect(list.fill(broken(), { signal: never, onLeftOut: () => undefined })).rejects.toThrow("no rights");
  expect(await next).toBeUndefined();
});

test("an object that the mount names is all that is meant; folders and keys that are no paths are not", async () => {
  const single = new CopyList(mountOf("data"));
  await fill(single, ["data", "data/below"], () => undefined);
  expect(await takeAll(single)).toEqual(["data"]);
  const leftOut: string[] = [];
  const below = new CopyList(mountOf("data"));
  await fill(below, ["data/", "data/a", "data/x/", "data/../b", "data/a//b"], (key) => leftOut.push(key));
  expect(await takeAll(below)).toEqual(["data/a"]);
  expect(leftOut).toEqual(["data/../b", "data/a//b"]);
});

/** As stores list them. */
const byBytes = (one: string, other: string): number => Buffer.compare(Buffer.from(one), Buffer.from(other));

async function copyAll(keys: readonly string[]): Promise<{ readonly taken: string[]; readonly folders: string[] }> {
  const list = new CopyList(mountOf(""));
  const folders: string[] = [];
  await fill(list, keys.toSorted(byBytes), (key, reason) => reason === "is-folder" && folders.push(key));
  const taken = [...(await takeAll(list))].sort(byBytes);
  expect(list.files).toBe(taken.length);
  return { taken, folders: folders.sort(byBytes) };
}

test("a key that is also the folder of others is left out, however far from them; markers of folders are no clash", async () => {
  const keys = ["a", "a-x", "a-x/y", "a.", "a/", "a/b", "a/b/c", "b", "b/", "c", "c/../d", "\u{1f600}", "\u{1f600}/x"];
  expect(await copyAll(keys)).toEqual({
    taken: ["a-x/y", "a.", "a/b/c", "b", "c", "\u{1f600}/x"],
    folders: ["a", "a-x", "a/b", "\u{1f600}"],
  });
});

test("in any bucket just the keys that others have as a folder are left out", async () => {
  const part = fc.string({ unit: fc.constantFrom("a", "-", "\ud7ff", "\u{1f600}"), minLength: 1, maxLength: 2 });
  const key = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(key, { maxLength: 30 }), async (keys) => {
      const sorted = keys.toSorted(byBytes);
      const isFolder = (one: string): boolean => keys.some((other) => other.startsWith(`${one}/`));
      const folders = sorted.filter(isFolder);
      expect(await copyAll(keys)).toEqual({ taken: sorted.filter((one) => !isFolder(one)), folders });
    }),
  );
});

test("a key whose folder comes many batches later is left out all the same, and keeps none of the others back", async () => {
  const list = new CopyList(mountOf(""));
  const between = Array.from({ length: 20_001 }, (_, index) => `a-${String(index).padStart(5, "0")}`);
  async function* objects(): AsyncGenerator<StoredObject> {
    for (const key of ["a", ...between]) yield object(key);
    // Somebody takes all others by now but the last, of which the next one decides.
    for (let left = between.length - 1; left > 0; left -= 500) expect((await list.next())?.objects).toHaveLength(500);
    yield object("a/b");
  }
  const leftOut: string[] = [];
  await list.fill(objects(), { signal: never, onLeftOut: (key) => leftOut.push(key) });
  expect(await takeAll(list)).toEqual([between.at(-1), "a/b"]);
  expect(leftOut).toEqual(["a"]);
});
