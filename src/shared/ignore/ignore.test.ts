import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { enterDirectory, isIgnored, noIgnoreRules } from "./ignore.ts";

function ignores(text: string, path: string, isDirectory = false): boolean {
  return isIgnored(enterDirectory(noIgnoreRules, "", text), path, isDirectory);
}

describe("one ignore file", () => {
  // [ignore file, path, is a directory, ignored]; checked against `git check-ignore`; only `ü?` differs, which git matches by bytes.
  const table: readonly (readonly [string, string, boolean, boolean])[] = [
    ["*.log", "a.log", false, true],
    ["*.log", "x/y/a.log", false, true],
    ["*.log", "a.logs", false, false],
    ["*.log\n!keep.log", "keep.log", false, false],
    ["!keep.log\n*.log", "keep.log", false, true],
    ["/build", "build", true, true],
    ["/build", "x/build", true, false],
    ["build/", "build", false, false],
    ["build/", "x/build", true, true],
    ["a/b", "a/b", false, true],
    ["a/b", "x/a/b", false, false],
    ["**/a/b", "x/y/a/b", false, true],
    ["**/a/b", "a/b", false, true],
    ["a/**", "a/b/c", false, true],
    ["a/**", "a", true, false],
    ["a/**/b", "a/b", false, true],
    ["a/**/b", "a/x/y/b", false, true],
    ["a/*/b", "a/x/y/b", false, false],
    ["a**b", "axxb", false, true],
    ["a**b", "ax/b", false, false],
    ["**", "x/y", false, true],
    ["# comment", "# comment", false, false],
    ["\\#x", "#x", false, true],
    ["\\!x", "!x", false, true],
    ["x   ", "x", false, true],
    ["x\\ ", "x ", false, true],
    ["x\r", "x", false, true],
    ["?.c", "a.c", false, true],
    ["?.c", "ab.c", false, false],
    ["[a-c].c", "b.c", false, true],
    ["[!a-c].c", "b.c", false, false],
    ["[!a-c].c", "d.c", false, true],
    ["[]x].c", "].c", false, true],
    ["[[:digit:]]x", "7x", false, true],
    ["[[:alpha:]-]x", "-x", false, true],
    ["[z-a]x", "zx", false, true],
    ["[z-a]x", "ax", false, false],
    ["[abc", "[abc", false, false],
    ["a[/]b", "a/b", false, false],
    ["doc/*.txt", "doc/a.txt", false, true],
    ["doc/*.txt", "doc/x/a.txt", false, false],
    ["a.b", "axb", false, false],
    ["ü?", "üö", false, true],
    ["", "x", false, false],
    ["/", "x", false, false],
  ];
  test.each(table)("%j against %j (directory: %s) is %s", (text, path, isDirectory, expected) => {
    expect(ignores(text, path, isDirectory)).toBe(expected);
  });

  test("a literal name with every special character escaped matches itself only", () => {
    const name = fc.stringMatching(/^[ -.0-~]{1,12}$/u);
    fc.assert(
      fc.property(name, name, (a, b) => {
        const escaped = a.replace(/[\\*?[\] !#]/gu, "\\$&");
        expect(ignores(`/${escaped}`, a)).toBe(true);
        expect(ignores(`/${escaped}`, b)).toBe(a === b);
      }),
    );
  });

  test("no text makes it throw", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ minLength: 1 }), (text, path) => {
        expect(typeof ignores(text, path)).toBe("boolean");
      }),
    );
  });
});

describe("files of a tree", () => {
  test("a deeper file overrides a shallower one, within its own directory only", () => {
    const root = enterDirectory(noIgnoreRules, "", "*.log\n");
    const inside = enterDirectory(root, "sub", "!keep.log\n/only\n");
    expect(isIgnored(inside, "sub/keep.log", false)).toBe(false);
    expect(isIgnored(inside, "sub/x.log", false)).toBe(true);
    expect(isIgnored(inside, "sub/only", false)).toBe(true);
    expect(isIgnored(inside, "sub/deep/only", false)).toBe(false);
    expect(isIgnored(root, "keep.log", false)).toBe(true);
  });
});
