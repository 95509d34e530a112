import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { removeOutsideLinks } from "../../platform/outside-links.ts";
import { assertLinkable, makeLink, resolveDestination } from "./dest.ts";

let root: string;
beforeEach(() => {
  // Not in /tmp, where destinations are no links.
  root = mkdtempSync(join("/var/tmp", "agent-dest-"));
  mkdirSync(join(root, "outside"));
});
afterEach(() => rmSync(root, { recursive: true }));

const at = (path: string): string => join(root, path);
const nodeHome = (cluster: string, index = 0): string => at(`server/.sky/local/${cluster}/node${index}/home`);

/** What a sync does: the files, then the link to them. Gives where they are. */
function place(dest: string, home: string): string {
  const { path, link = "" } = resolveDestination(dest, home);
  assertLinkable(link, home);
  mkdirSync(path, { recursive: true });
  makeLink(link, path, { home, mayUseSudo: false });
  return path;
}

const refused = (how: string, hint: string): unknown =>
  expect.objectContaining({
    agentCode: "PATH_EXISTS",
    message: expect.stringContaining(how) as unknown,
    hint: expect.stringContaining(hint) as unknown,
  });

function refusalOf(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe("a link outside of HOME", () => {
  test("of another cluster stays, until that is gone", () => {
    const data = at("outside/data");
    const theirs = place(data, nodeHome("a"));
    for (const dest of [data, join(data, "below/it")]) {
      const refusal = refusalOf(() => place(dest, nodeHome("b")));
      expect(refusal).toEqual(refused(`path exists (${data}): it is a link to ${theirs}`, "sky down"));
    }
    removeOutsideLinks(nodeHome("b"));
    expect(readlinkSync(data)).toBe(theirs);
    expect(readdirSync(theirs)).toEqual([]);
    // As after a machine that went down in the middle of `sky down`.
    rmSync(nodeHome("a"), { recursive: true });
    expect(readlinkSync(data)).toBe(theirs);
    const ours = place(data, nodeHome("b"));
    expect(readlinkSync(data)).toBe(ours);
    removeOutsideLinks(nodeHome("b"));
    expect(existsSync(at("outside"))).toBe(true);
    expect(readdirSync(at("outside"))).toEqual([]);
  });

  test.each(["big", "not-mounted-now"])("of an administrator stays, whether or not its disk (%s) is there", (disk) => {
    mkdirSync(at("big"));
    const data = at("outside/data");
    symlinkSync(`../${disk}`, data);
    const refusal = refusalOf(() => place(data, nodeHome("a")));
    expect(refusal).toEqual(refused(`path exists (${data}): it is a link to ${at(disk)}`, "mount to another path"));
    expect(refusalOf(() => assertLinkable(data))).toEqual(refusal);
    removeOutsideLinks(nodeHome("a"));
    expect(readlinkSync(data)).toBe(`../${disk}`);
  });

  test("may lie behind an administrator's link", () => {
    mkdirSync(at("big"));
    symlinkSync(at("big"), at("outside/disk"));
    place(at("outside/disk/data"), nodeHome("a"));
    expect(lstatSync(at("big/data")).isSymbolicLink()).toBe(true);
    removeOutsideLinks(nodeHome("a"));
    expect([readdirSync(at("big")), existsSync(at("outside/disk"))]).toEqual([[], true]);
  });

  test("is the last one's of a cluster's nodes on one machine, and goes with them, as do the folders above it", () => {
    const data = at("outside/made/data");
    for (const index of [0, 10, 0, 1]) {
      const path = place(data, nodeHome("a", index));
      expect([readlinkSync(data), readdirSync(at("outside/made"))]).toEqual([path, ["data"]]);
    }
    // A cluster that is made smaller.
    removeOutsideLinks(nodeHome("a", 10));
    expect(readlinkSync(data)).toContain("/node1/home/");
    removeOutsideLinks(nodeHome("a", 0), nodeHome("a", 1));
    expect(readdirSync(at("outside"))).toEqual([]);
  });

  test("of a cluster in the login's HOME and of one beside it are told apart", () => {
    const home = at("server");
    const data = at("outside/data");
    place(data, home);
    rmSync(data);
    const theirs = place(data, nodeHome("b"));
    expect(refusalOf(() => place(data, home))).toEqual(refused(`it is a link to ${theirs}`, "sky down"));
    removeOutsideLinks(home);
    expect(readlinkSync(data)).toBe(theirs);
  });

  test("into a HOME that may not be looked into stays", () => {
    const data = at("outside/data");
    const theirs = place(data, at("alice"));
    rmSync(at("alice"), { recursive: true });
    // Root may look anywhere, but not into this.
    symlinkSync("alice", at("alice"));
    expect(refusalOf(() => place(data, at("bob")))).toEqual(refused(`it is a link to ${theirs}`, "sky down"));
  });

  test("does not replace what is real", () => {
    writeFileSync(at("outside/file"), "precious");
    const refusal = refusalOf(() => place(at("outside/file"), nodeHome("a")));
    expect(refusal).toEqual(refused(`!!! Failed mounting because path exists (${at("outside/file")})`, "Remove it"));
  });
});
