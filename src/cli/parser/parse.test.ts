import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { closeMatches, similarity } from "./close-matches.ts";
import { parseCommand } from "./parse.ts";
import {
  argument,
  assignments,
  choiceOr,
  commandSpec,
  flag,
  flagOn,
  integer,
  limit,
  text,
  texts,
  triFlag,
  variadic,
} from "./spec.ts";

const spec = commandSpec({
  help: "A command.",
  args: { cluster: argument("CLUSTER"), words: variadic("WORDS") },
  options: {
    all: flag("--all -a", ""),
    yes: flag("--yes -y", ""),
    detach: flag("--detach-run -d / -no-d", ""),
    spot: triFlag("--use-spot / --no-use-spot", ""),
    follow: flagOn("--follow / --no-follow", ""),
    name: text("--name -n", ""),
    hook: text("--hook", "", { bareValue: "" }),
    ports: texts("--ports", ""),
    env: assignments("--env", ""),
    idle: integer("--idle -i", ""),
    limit: limit("--limit -l", "", 50),
    output: choiceOr("--output -o", ["table", "json"], "", "table"),
  },
});

const machine = { kindOf: () => undefined };

function parse(...words: string[]) {
  return parseCommand(spec, words, machine);
}

function optionsOf(...words: string[]): Readonly<Record<string, unknown>> {
  return parse("c", ...words).options;
}

describe("options", () => {
  test("defaults", () => {
    expect(optionsOf()).toEqual({
      all: false,
      yes: false,
      detach: false,
      spot: undefined,
      follow: true,
      name: undefined,
      hook: undefined,
      ports: [],
      env: [],
      idle: undefined,
      limit: 50,
      output: "table",
    });
  });

  test.each([
    [["--name=x"], { name: "x" }],
    [["--name", "x"], { name: "x" }],
    [["-nx"], { name: "x" }],
    [["-n", "x"], { name: "x" }],
    [["-n=x"], { name: "=x" }],
    [["--name", "-x"], { name: "-x" }],
    [["--name="], { name: "" }],
    [["-n", "a", "--name", "b"], { name: "b" }],
    [["-ya"], { yes: true, all: true }],
    [["-yi5"], { yes: true, idle: 5 }],
    [["-d"], { detach: true }],
    [["-d", "-no-d"], { detach: false }],
    [["--use-spot"], { spot: true }],
    [["--use-spot", "--no-use-spot"], { spot: false }],
    [["--no-follow"], { follow: false }],
    [["--ports", "1", "--ports", "2"], { ports: ["1", "2"] }],
    [["--env", "A=b c", "--env", "D"], { env: ["A=b c", "D"] }],
    [["--hook"], { hook: "" }],
    [["--hook", "stop"], { hook: "stop" }],
    [["--hook", "-y"], { hook: "", yes: true }],
    [["-i", "-1"], { idle: -1 }],
    [["-l", "ALL"], { limit: null }],
    [["-o", "JSON"], { output: "json" }],
  ])("%j", (words, expected) => {
    expect(optionsOf(...words)).toMatchObject(expected);
  });

  test.each([
    [["--nam", "x"], "No such option: --nam (Possible options: --all, --env, --name)"],
    [["--detach", "x"], "No such option: --detach Did you mean --detach-run?"],
    [["-z"], "No such option: -z"],
    [["-yz"], "No such option: -z"],
    [["--yes=1"], "Option '--yes' does not take a value."],
    [["--name"], "Option '--name' requires an argument."],
    [["-yn"], "Option '-n' requires an argument."],
    [["-o", "xml"], "Invalid value for '--output' / '-o': 'xml' is not one of 'table', 'json'."],
    [["-i", "1.5"], "Invalid value for '--idle' / '-i': '1.5' is not a valid integer."],
  ])("%j is refused", (words, message) => {
    expect(() => parse("c", ...words)).toThrow(message);
  });
});

describe("operands", () => {
  test("stand anywhere, and after -- nothing is an option", () => {
    expect(parse("-y", "c", "-a", "x", "-n", "y", "z").args).toEqual({ cluster: "c", words: ["x", "z"] });
    expect(parse("c", "--", "-y", "--bogus", "--").args).toEqual({ cluster: "c", words: ["-y", "--bogus", "--"] });
    expect(parse("--", "-c").args).toEqual({ cluster: "-c", words: [] });
    expect(() => parse()).toThrow("Missing argument 'CLUSTER'.");
  });

  test("help wins over what is wrong with values", () => {
    expect(parse("-i", "x", "--help").help).toBe(true);
    expect(parse("-h").help).toBe(true);
    expect(parse("c", "--", "-h").help).toBe(false);
  });

  test("any words after -- come back as they are", () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (words) => {
        expect(parse("-y", "c", "--", ...words).args).toEqual({ cluster: "c", words });
      }),
    );
  });

  test("any value of an option comes back as it is", () => {
    fc.assert(
      fc.property(fc.string(), (value) => {
        expect(optionsOf("--name", value)).toMatchObject({ name: value });
        expect(optionsOf(`--name=${value}`)).toMatchObject({ name: value });
      }),
    );
  });
});

describe("the user's own command line", () => {
  const exec = commandSpec({ ...spec, passThrough: (given) => (given["name"] === undefined ? 1 : 0) });
  const words = (...argv: string[]): unknown => parseCommand(exec, argv, machine).args["words"];

  test("begins with the first word that is no task file", () => {
    expect(words("c", "python", "x.py", "--name", "y", "-h", "--", "-y")).toEqual([
      "python",
      "x.py",
      "--name",
      "y",
      "-h",
      "--",
      "-y",
    ]);
    expect(words("-y", "c", "-a", "ls", "-la")).toEqual(["ls", "-la"]);
  });

  test("a task file and a quoted command are followed by our options", () => {
    expect(words("c", "task.yaml", "-y")).toEqual(["task.yaml"]);
    expect(words("c", "echo hi; ls", "-y")).toEqual(["echo hi; ls"]);
    expect(() => words("c", "task.yaml", "--bogus")).toThrow("No such option: --bogus");
  });
});

describe("similarity", () => {
  test("is that of Python's difflib", () => {
    // Figures of difflib.SequenceMatcher(None, a, b).ratio() of Python 3.11.
    expect(similarity("--cpus", "--bogus")).toBeCloseTo(0.6153846, 6);
    expect(similarity("tide", "diet")).toBe(0.25);
    expect(similarity("diet", "tide")).toBe(0.5);
    expect(similarity("", "")).toBe(1);
    expect(closeMatches("launchh", ["launch", "logs", "exec"])).toEqual(["launch"]);
  });

  test("is symmetric enough to be a share, and 1 only for equal words", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        const value = similarity(a, b);
        expect(value).toBeGreaterThanOrEqual(0);
        expect(value).toBeLessThanOrEqual(1);
        expect(value === 1).toBe(a === b);
      }),
    );
  });
});
