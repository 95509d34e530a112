import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { noteOutsideLink, removeOutsideLinks } from "./outside-links.ts";

let root: string;
let home: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "links-"));
  home = join(root, "home");
  mkdirSync(home);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function make(link: string): void {
  noteOutsideLink(home, link);
  mkdirSync(join(link, ".."), { recursive: true });
  symlinkSync(join(home, ".sky/file_mounts", link), link);
}

test("links go with the folders that were made for them; what somebody else put there stays", () => {
  mkdirSync(join(root, "opt"));
  const links = ["opt/data", "opt/made/for/it", "opt/mixed/mine", "opt/taken/over"].map((path) => join(root, path));
  for (const link of links) make(link);
  // Again, as in a later launch: the folders are still ours.
  for (const link of links) noteOutsideLink(home, link);
  writeFileSync(join(root, "opt/mixed/theirs"), "");
  unlinkSync(join(root, "opt/taken/over"));
  symlinkSync("/etc", join(root, "opt/taken/over"));
  appendFileSync(join(home, ".sky/outside-links"), '{"link":"/cut of');
  removeOutsideLinks(home);
  removeOutsideLinks(home);
  expect(
    ["opt", "opt/data", "opt/made", "opt/mixed/mine", "opt/mixed/theirs"].map((path) => existsSync(join(root, path))),
  ).toEqual([true, false, false, false, true]);
  expect(lstatSync(join(root, "opt/taken/over")).isSymbolicLink()).toBe(true);
});

test("a HOME without links has nothing to remove", () => {
  removeOutsideLinks(home);
  expect(existsSync(join(home, ".sky"))).toBe(false);
});
