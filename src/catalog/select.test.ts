import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { installZoneNames, openCatalogs } from "../../test/support/catalogs.ts";
import type { Catalog } from "./catalog.ts";
import { selectByAccelerator, selectDefault, type NodeWish, type TypeSelection } from "./select.ts";

const FAMILIES = ["m6i", "m6id", "m7i", "r6i", "r6id", "r7i", "c6i", "c6id", "c7i"];

let home: string;
let catalog: Catalog;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "sky-"));
  installZoneNames(home);
  const found = openCatalogs(home).find("aws");
  if (found === undefined) throw new Error("no catalog");
  catalog = found;
});

afterAll(() => rmSync(home, { recursive: true }));

function names(selection: TypeSelection): readonly string[] {
  return selection.types.map(({ type }) => type.name);
}

function byDefault(wish: Partial<NodeWish>): TypeSelection {
  return selectDefault(catalog, { useSpot: false, ...wish }, FAMILIES);
}

function withGpu(name: string, count: number, wish: Partial<NodeWish> = {}): TypeSelection {
  return selectByAccelerator(catalog, { useSpot: false, ...wish, accelerator: { name, count } });
}

const atLeast = (amount: number) => ({ amount, orMore: true, perCpu: false });

describe("the default type", () => {
  it.each([
    ["nothing", {}, "m6i.2xlarge"],
    ["cpus: 4", { cpus: { count: 4, orMore: false } }, "m6i.xlarge"],
    ["memory: 64+", { memory: atLeast(64) }, "r6i.2xlarge"],
    ["memory: 16", { memory: { amount: 16, orMore: false, perCpu: false } }, "r6i.large"],
    [
      "cpus: 16+, memory: 2x",
      { cpus: { count: 16, orMore: true }, memory: { amount: 2, orMore: false, perCpu: true } },
      "c6i.4xlarge",
    ],
    ["local_disk: nvme:400+", { cpus: { count: 8, orMore: true }, localDisk: "nvme:400+" }, "m6id.2xlarge"],
    ["a zone", { cpus: { count: 8, orMore: false }, zone: "us-west-2b" }, "m6i.2xlarge"],
  ] as const)("of a request for %s is what 0.14.1 takes", (_, wish, expected) => {
    expect(names(byDefault(wish))[0]).toBe(expected);
  });

  it.each([
    ["cpus", { cpus: { count: 1000, orMore: true } }],
    ["memory", { cpus: { count: 4, orMore: false }, memory: atLeast(1000) }],
    ["local disk", { localDisk: "nvme:999999+" }],
    ["place", { region: "mars-1" }],
    ["max hourly cost", { maxUsdPerHour: 0.01 }],
  ] as const)("is none where %s stands in the way", (obstacle, wish) => {
    expect(byDefault(wish)).toEqual({ types: [], obstacle, suggestions: [] });
  });
});

describe("types with an accelerator", () => {
  it("come cheapest first, whatever the case of the name", () => {
    expect(names(withGpu("l4", 1, { maxUsdPerHour: 1 }))).toEqual(["g6.xlarge", "g6.2xlarge"]);
    expect(names(withGpu("T4", 1, { memory: atLeast(100) }))).toEqual(["g4dn.8xlarge", "g4dn.16xlarge"]);
  });

  it("may have a fraction of a device", () => {
    expect(names(withGpu("L4", 0.5))).toEqual(["g6f.4xlarge", "gr6f.4xlarge"]);
  });

  it("are those of the spot market for a spot request", () => {
    expect(names(withGpu("L4", 1, { useSpot: true }))[0]).toBe("gr6.4xlarge");
  });

  it("are found by the whole name as text, never as a pattern", () => {
    for (const name of ["A100.80GB", "A10", "(", ".*", "A100|T4"]) expect(names(withGpu(name, 1))).toEqual([]);
  });

  it.each([
    ["A100", 1, ["A100:8", "A100-80GB:8"]],
    ["T4", 2, ["T4g:2", "T4:4", "T4:8"]],
    ["L4", 0.2, ["L4:0.25", "L4:1", "L4:0.50", "L40S:1", "L4:4", "L40S:4", "L4:8", "L40S:8"]],
    ["MI250", 4, []],
  ] as const)("%s:%d leads to the names that 0.14.1 offers instead", (name, count, expected) => {
    const selection = withGpu(name, count);
    expect([selection.obstacle, selection.suggestions]).toEqual(["accelerator", expected]);
  });

  it("are not offered in every place, nor at a known price", () => {
    expect(withGpu("H100", 8, { region: "eu-west-3" }).obstacle).toBe("place");
    expect(withGpu("L4", 0.5, { region: "us-west-2" }).obstacle).toBe("unknown price");
  });
});
