import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../shared/clock.ts";
import { MountPlace } from "./mount-place.ts";

let home: string;
let path: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "mount-place-"));
  path = join(home, "data");
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

function open(): MountPlace {
  return new MountPlace({ dest: "~/data", place: undefined, home, mayUseSudo: false, clock: systemClock });
}

test("a place with files in it is refused, unless it was a mount before: then they are set aside", async () => {
  mkdirSync(path);
  writeFileSync(join(path, "a"), "1");
  const place = open();
  await expect(place.prepare({ wasMounted: false })).rejects.toThrow("Mount path ~/data is non-empty.");
  await place.prepare({ wasMounted: true });
  expect(readdirSync(path)).toEqual([]);
  expect(place.shown(place.aside ?? "")).toBe("~/data.while-unmounted");
  // What is written before the mount is up is found when it is.
  writeFileSync(join(path, "a"), "2");
  await place.cover({ isMounted: true });
  const aside = join(home, "data.while-unmounted");
  expect(readdirSync(aside).map((name) => readFileSync(join(aside, name), "utf8"))).toEqual(["1", "2"]);
});

test("nobody but root writes to a place whose mount is gone, and it can be removed", async () => {
  const place = open();
  await place.prepare({ wasMounted: false });
  await place.cover({ isMounted: true });
  expect(statSync(path).mode & 0o777).toBe(0o500);
  await place.prepare({ wasMounted: true });
  expect(statSync(path).mode & 0o777).toBe(0o755);
  expect(place.aside).toBeUndefined();
  await place.cover({ isMounted: false });
  await place.cover({ isMounted: true });
  expect(statSync(path).mode & 0o777).toBe(0o755);
  await place.remove();
  expect(readdirSync(home)).toEqual([]);
});

test("a folder of files that were set aside before stays as it is", async () => {
  mkdirSync(join(home, "data.while-unmounted"), { recursive: true });
  mkdirSync(path);
  writeFileSync(join(path, "a"), "1");
  const place = open();
  await Promise.all([place.setAside(), place.setAside()]);
  expect(readdirSync(home).sort()).toEqual(["data", "data.while-unmounted", "data.while-unmounted.2"]);
});
