import { appendFileSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { KnownEtags } from "./known-etags.ts";

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "known-etags-"));
  path = join(directory, "file");
  writeFileSync(path, "content");
});
afterEach(() => rmSync(directory, { recursive: true }));

const later = (): number => Date.now() + 5000;
const asEtag = (etag: string) => () => Promise.resolve(etag);

test("a file is known until anything happens to it, also when its size and time stay", async () => {
  const known = new KnownEtags(later);
  expect(known.get(path)).toBeUndefined();
  expect(await known.learn(path, asEtag("one"))).toBe("one");
  expect(known.get(path)).toBe("one");
  const { atime, mtime } = statSync(path);
  // The file system's clock goes in steps.
  await new Promise((resolve) => setTimeout(resolve, 20));
  writeFileSync(path, "CONTENT");
  utimesSync(path, atime, mtime);
  expect(known.get(path)).toBeUndefined();
  await known.learn(path, asEtag("two"));
  expect(known.get(path)).toBe("two");
  rmSync(path);
  expect(known.get(path)).toBeUndefined();
});

test("what changed while it was read, or just before, is not known", async () => {
  const known = new KnownEtags(later);
  await known.learn(path, () => {
    appendFileSync(path, "more");
    return Promise.resolve("mixed");
  });
  expect(known.get(path)).toBeUndefined();
  const strict = new KnownEtags();
  await strict.learn(path, asEtag("young"));
  expect(strict.get(path)).toBeUndefined();
});

test("a server that names no content makes nothing known; the oldest of very many is forgotten", async () => {
  const known = new KnownEtags(later);
  await known.learn(path, asEtag(""));
  expect(known.get(path)).toBeUndefined();
  await known.learn(path, asEtag("one"));
  // Other names of the same file.
  const prefix = `${directory}/./`;
  const others = Array.from(
    { length: 20_000 },
    (_, index) => `${prefix}${"./".repeat(index % 200)}${"/".repeat(index / 200)}file`,
  );
  for (const other of others.slice(1)) await known.learn(other, asEtag("x"));
  expect(known.get(path)).toBe("one");
  await known.learn(others[0] ?? "", asEtag("x"));
  expect(known.get(path)).toBeUndefined();
});
