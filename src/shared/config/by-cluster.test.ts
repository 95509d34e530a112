import { describe, expect, it } from "vitest";
import { describeByCluster, valueForCluster } from "./by-cluster.ts";

const LIST = [{ "prod-*": "A" }, { "prod-1": "never" }, { "dev-?": "B" }];

describe("a setting by clusters", () => {
  it.each([
    ["A", "any", "A"],
    ["", "any", undefined],
    [undefined, "any", undefined],
    [7, "any", undefined],
    [LIST, "prod-1", "A"],
    [LIST, "dev-2", "B"],
    [LIST, "dev-22", undefined],
    [LIST, "Prod-1", undefined],
    [[{ "*": 7 }, "x", null, { "*": "B" }], "any", "B"],
    [[], "any", undefined],
  ])("%j is for %s", (setting, cluster, value) => {
    expect(valueForCluster(setting, cluster)).toBe(value);
  });

  it("is told once where it is the same for all, else by its patterns", () => {
    const lines = (setting: unknown): readonly string[] =>
      describeByCluster("Keys", setting, (value) => (value === "A" ? "yes" : "no"));
    expect(lines("A")).toEqual(["Keys: yes"]);
    expect(lines(undefined)).toEqual(["Keys: no"]);
    expect(lines([{ "prod-*": "B" }, { "*": "C" }])).toEqual(["Keys: no"]);
    expect(lines([{ "prod-*": "A" }])).toEqual(["Keys (clusters prod-*): yes", "Keys (other clusters): no"]);
    expect(lines([{ "prod-*": "B" }, { "*": "A" }, { "dev-*": "B" }])).toEqual([
      "Keys (clusters prod-*): no",
      "Keys (other clusters): yes",
    ]);
  });
});
