import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InvalidClusterNameError } from "../../shared/errors.ts";
import { checkClusterName, nameOnCloud } from "./names.ts";

describe("a name that is refused", () => {
  function hintFor(name: string): string | undefined {
    try {
      checkClusterName(name);
      return undefined;
    } catch (error) {
      return error instanceof InvalidClusterNameError ? error.hint : String(error);
    }
  }

  test.each([
    ["1abc", "c-1abc"],
    ["my cluster!", "my-cluster"],
    ["-x-", "x"],
    ["Müller", "Mu-ller"],
    ["!!!", "mycluster"],
  ])("%s comes with %s", (name, suggestion) => {
    expect(hintFor(name)).toBe(`For example: ${suggestion}`);
  });

  test("always comes with one that is allowed", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (name) => {
        const hint = hintFor(name);
        if (hint !== undefined) expect(hintFor(hint.replace("For example: ", ""))).toBeUndefined();
      }),
    );
  });
});

describe("nameOnCloud", () => {
  test.each([
    ["t1", 120, "t1-fcd1e5cf"],
    ["My_Cluster.v2", 120, "my-cluster-v2-fcd1e5cf"],
    ["a".repeat(40), 35, `${"a".repeat(23)}-46-fcd1e5cf`],
  ])("%s within %i is %s", (name, maxLength, expected) => {
    expect(nameOnCloud(name, "fcd1e5cf", maxLength)).toBe(expected);
  });

  test("never longer than allowed", () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[a-zA-Z][-_.a-zA-Z0-9]{0,80}[a-z]$/),
        fc.integer({ min: 20, max: 60 }),
        (name, max) => {
          expect(nameOnCloud(name, "fcd1e5cf", max).length).toBeLessThanOrEqual(max);
        },
      ),
    );
  });
});

describe("checkClusterName", () => {
  test.each(["a", "A-b_c.1", "sky-12ab-root"])("%s is valid", (name) => {
    expect(() => checkClusterName(name)).not.toThrow();
  });

  test.each(["", "1abc", "a-", "a b", "-a", "a/b", "a\nb", "ä"])("%j is not", (name) => {
    expect(() => checkClusterName(name)).toThrow(InvalidClusterNameError);
  });

  test("the message names the rule", () => {
    expect(() => checkClusterName("1abc")).toThrow(
      'Cluster name "1abc" is invalid; ensure it is fully matched by regex (e.g., only contains letters, numbers and dash): [a-zA-Z]([-_.a-zA-Z0-9]*[a-zA-Z0-9])?',
    );
  });
});
