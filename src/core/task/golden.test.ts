import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { agrees, ourVerdict, type GoldenRow } from "../../../test/fixtures/task-yaml/verdict.ts";

const FIXTURES = new URL("../../../test/fixtures/", import.meta.url);

function read(path: string): unknown {
  return JSON.parse(readFileSync(new URL(path, FIXTURES), "utf8"));
}

type Difference = Pick<GoldenRow, "kind" | "yaml"> & { readonly reason: string };

const suites = [
  { name: "task files", golden: "task-yaml/tasks.golden.json", differences: "task-yaml/differences.json", least: 1000 },
  { name: "PyYAML", golden: "task-yaml/pyyaml.golden.json", differences: "task-yaml/differences.json", least: 150 },
  { name: "configs", golden: "config/configs.golden.json", differences: "config/differences.json", least: 800 },
];

describe.each(suites)("what 0.14.1 says about $name", ({ golden, differences, least }) => {
  const rows = read(golden) as readonly GoldenRow[];
  const known = new Map(
    (read(differences) as readonly Difference[]).map((row) => [`${row.kind}:${row.yaml}`, row.reason]),
  );
  const idOf = (row: GoldenRow): string => `${row.kind}:${row.yaml}`;

  it("is what we say, except for the listed differences", () => {
    expect(rows.length).toBeGreaterThanOrEqual(least);
    const wrong = rows
      .filter((row) => !known.has(idOf(row)))
      .map((row) => ({ row, ours: ourVerdict(row) }))
      .filter(({ row, ours }) => !agrees(row, ours));
    expect(wrong).toEqual([]);
  });

  it("differs where a difference is listed", () => {
    const same = rows.filter((row) => known.has(idOf(row)) && agrees(row, ourVerdict(row)));
    expect(same.map((row) => row.yaml)).toEqual([]);
  });
});
