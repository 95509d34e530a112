import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Secret } from "./secret.ts";
import { dumpYaml, dumpYamlDocuments, quoteYaml } from "./yaml-dump.ts";
import { parseYaml, parseYamlDocuments } from "./yaml.ts";

/** Texts that look like something else in YAML 1.1. */
const LOOKALIKES = [
  "yes",
  "NO",
  "on",
  "~",
  "null",
  "",
  "0",
  "010",
  "1:30",
  "1_000",
  "0x1f",
  "1.5",
  ".inf",
  "2024-01-01",
  "<<",
  "=",
];
const AWKWARD = [
  "- x",
  "a: b",
  "a #b",
  "#c",
  "&a",
  "*a",
  "!t",
  "%d",
  "@e",
  "`f",
  "? g",
  ": h",
  "---",
  "...",
  "'",
  '"',
  "\\",
  "{",
  "[a]",
];
const MULTILINE = [
  "a\nb",
  "a\nb\n",
  "a\n\n",
  " a\nb",
  "a \nb",
  "a\n\tb\n",
  "\n",
  "a\r\nb",
  "a\u2028b",
  "a\n b\n  c\n",
  "#!/bin/sh\nx\n",
];

const text = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 40 }),
  fc.string({ unit: "binary", maxLength: 20 }).filter((value) => value.isWellFormed()),
  fc.constantFrom(...LOOKALIKES, ...AWKWARD, ...MULTILINE),
);

const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    text,
    fc.integer(),
    fc.double({ noNaN: true }).map((value) => (Object.is(value, -0) ? 0 : value)),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie("tree"), { maxLength: 4 }),
    fc.dictionary(text, tie("tree"), { maxKeys: 4 }),
  ),
}));

describe("dumpYaml", () => {
  it("is read back unchanged", () => {
    fc.assert(
      fc.property(tree, fc.boolean(), (value, blankLines) => {
        const [document] = parseYamlDocuments(dumpYaml(value, { blankLines }));
        expect(document?.value).toEqual(value);
      }),
      { numRuns: 500 },
    );
  });

  it.each([...LOOKALIKES, ...AWKWARD, ...MULTILINE])(
    "keeps the text %j as a value, as a key and in a list",
    (value) => {
      expect(parseYaml(dumpYaml({ a: value, b: [value], [`k${value}`]: 1 }))?.value).toEqual({
        a: value,
        b: [value],
        [`k${value}`]: 1,
      });
    },
  );

  it("keeps the longest keys", () => {
    const key = "k".repeat(2000);
    expect(parseYaml(dumpYaml({ [key]: { a: 1 }, b: 2 }))?.value).toEqual({ [key]: { a: 1 }, b: 2 });
  });

  it("writes blank lines between outer keys, literal blocks and unindented lists", () => {
    expect(dumpYaml({ name: "a", run: "x\ny\n", ports: ["80"], envs: {}, image_id: new Map([[null, "i"]]) })).toBe(
      "name: a\n\nrun: |\n  x\n  y\n\nports:\n- '80'\n\nenvs: {}\n\nimage_id:\n  null: i\n",
    );
  });

  it("leaves out undefined and hides secrets", () => {
    expect(dumpYaml({ a: undefined, b: new Secret("s3cret") })).toBe("b: <redacted>\n");
  });

  it("writes floats that PyYAML takes for floats", () => {
    expect(dumpYaml([1e20, 1e-7, 1.5, 2 ** 60, Infinity])).toBe(
      "- 1.0e+20\n- 1.0e-07\n- 1.5\n- 1.152921504606847e+18\n- .inf\n",
    );
  });

  it("separates documents", () => {
    expect(parseYamlDocuments(dumpYamlDocuments([{ name: "a" }, { run: "b" }])).map((item) => item.value)).toEqual([
      { name: "a" },
      { run: "b" },
    ]);
  });

  it("refuses what is no data", () => {
    expect(() => dumpYaml({ a: () => 1 })).toThrow(TypeError);
  });
});

describe("quoteYaml", () => {
  it("keeps plain words plain", () => {
    expect(["aws/us-east-1", "s3://bucket/a", "echo $HOME", "4+", "08"].map((item) => quoteYaml(item))).toEqual([
      "aws/us-east-1",
      "s3://bucket/a",
      "echo $HOME",
      "4+",
      "08",
    ]);
  });
});
