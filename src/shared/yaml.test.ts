import { describe, expect, it } from "vitest";
import { InvalidConfigError } from "./errors.ts";
import { MAX_YAML_LENGTH, parseYaml, parseYamlDocuments, YamlSyntaxError } from "./yaml.ts";

function syntaxError(text: string, file?: string): YamlSyntaxError {
  try {
    parseYamlDocuments(text, { file });
  } catch (error) {
    if (error instanceof YamlSyntaxError) return error;
    throw error;
  }
  throw new Error("The text was read.");
}

describe("parseYamlDocuments", () => {
  it("gives plain values with text keys", () => {
    const [document] = parseYamlDocuments("a: [1, 1.5, yes, ~]\n8080: {x: y}\n");
    expect(document?.value).toEqual({ a: [1, 1.5, true, null], "8080": { x: "y" } });
  });

  it("keeps prototype names as ordinary keys", () => {
    const [document] = parseYamlDocuments("__proto__: {polluted: true}\nconstructor: x\n");
    expect(Object.keys(document?.value as object)).toEqual(["__proto__", "constructor"]);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });

  it("maps paths to lines and columns of key and value", () => {
    const [document] = parseYamlDocuments('resources:\n  cpus: "4"\n  any_of:\n    - infra: aws\n');
    expect(document?.locate(["resources", "cpus"])).toEqual({
      key: { line: 2, column: 3 },
      value: { line: 2, column: 9 },
    });
    expect(document?.locate(["resources", "any_of", 0, "infra"])?.key).toEqual({ line: 4, column: 7 });
    expect(document?.locate(["resources", "memory"])).toBeUndefined();
  });

  it("corrects the places of lines that stand too far left inside brackets", () => {
    const [document] = parseYamlDocuments("a:\n  b: {\nc: 1,\nd: [\n2]\n}\ne: 3\n");
    expect(document?.value).toEqual({ a: { b: { c: 1, d: [2] } }, e: 3 });
    expect(document?.locate(["a", "b", "d"])?.key).toEqual({ line: 4, column: 1 });
    expect(document?.locate(["e"])?.key).toEqual({ line: 7, column: 1 });
  });

  it("reads thousands of such lines, and stops where the bracket closes", () => {
    const keys = Array.from({ length: 3000 }, (_, index) => `k${index}`);
    const text = `x:\n  a: {\n${keys.map((key) => `${key}: 1,`).join("\n")}\n}\n  b: [\n1]\ny: "q\nr"\n`;
    const [document] = parseYamlDocuments(text);
    expect(document?.value).toEqual({ x: { a: Object.fromEntries(keys.map((key) => [key, 1])), b: [1] }, y: "q r" });
    expect(document?.locate(["y"])?.key).toEqual({ line: 3006, column: 1 });
  });

  it("skips a byte order mark", () => {
    expect(parseYaml("\uFEFFa: 1")?.value).toEqual({ a: 1 });
  });

  it("names file, line and column of a syntax error", () => {
    expect(syntaxError("a: 1\nb: [", "task.yaml").message).toContain("\n  at task.yaml:2:");
    expect(syntaxError("a: 1\nb: [")).toBeInstanceOf(InvalidConfigError);
  });

  it("refuses duplicate keys in the words of the original", () => {
    expect(syntaxError("name: a\nname: b\n").reason).toBe(
      "Duplicate key 'name' in YAML at line 2 (also defined at line 1). Remove one of the entries so the intended value is unambiguous.",
    );
  });

  it("takes the last of duplicate keys when told to, and says so", () => {
    const told: string[] = [];
    const document = parseYaml("a: 1\na: 2\n", { onDuplicateKey: (message) => told.push(message) });
    expect(document?.value).toEqual({ a: 2 });
    expect(told).toHaveLength(1);
  });

  it("merges maps: own keys win, the first merged map wins over the second", () => {
    const text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {z: 3, <<: [*a, *b]}\n";
    expect(parseYaml(text)?.value).toMatchObject({ c: { x: 1, y: 1, z: 3 } });
  });
});

describe("hostile input", () => {
  it("refuses aliases that expand without bound", () => {
    const levels = "bcdefghij".split("").map((name, index) => {
      const previous = "abcdefghij".charAt(index);
      return `${name}: &${name} [${Array.from({ length: 9 }, () => `*${previous}`).join(",")}]`;
    });
    const error = syntaxError(`a: &a [x,x,x,x,x,x,x,x,x]\n${levels.join("\n")}\n`);
    expect(error.message).toContain("aliases of this YAML expand to more than");
  });

  it("refuses a merge bomb", () => {
    const levels = Array.from(
      { length: 20 },
      (_, index) => `m${index + 1}: &m${index + 1} {a: *m${index}, b: *m${index}}`,
    );
    expect(syntaxError(`m0: &m0 {k: v}\n${levels.join("\n")}\n`).message).toContain("expand to more than");
  });

  it("refuses texts above the limit before reading them", () => {
    // What is wrong with it is not even seen.
    const error = syntaxError(`run: {${"x".repeat(10 * 1024 * 1024 - 1)}`, "big.yaml");
    expect(error.message).toBe(
      "The YAML is 10.0 MiB long; at most 4 MiB are read. Move data out of the file, for example into file_mounts.\n  at big.yaml",
    );
  });

  it("reads a text just below the limit", () => {
    const text = `run: ${"x".repeat(MAX_YAML_LENGTH - 10)}`;
    expect(parseYaml(text)?.value).toEqual({ run: "x".repeat(MAX_YAML_LENGTH - 10) });
  });

  it("refuses deep nesting with a message", () => {
    expect(syntaxError("[".repeat(5000)).message).not.toContain("Maximum call stack");
  });

  it.each(["a: !!python/object:os.system x", "a: !foo {b: c}", "a: !foo [b]", "a: *nope", "? [a]\n: b"])(
    "refuses %j",
    (text) => {
      expect(syntaxError(text).mark).toBeDefined();
    },
  );
});
