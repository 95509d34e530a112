import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { installZoneNames, openCatalogs } from "../../../test/support/catalogs.ts";
import type { Catalog } from "../../catalog/catalog.ts";
import type { OfferRequest, OfferSet } from "../../core/ports/cloud.ts";
import { awsOffers } from "./offers.ts";
import { quotaFamilyOf } from "./quota-family.ts";

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

function ask(request: Partial<OfferRequest>): OfferSet {
  const all = { numNodes: 1, accelerators: {}, useSpot: false, ports: [], diskGib: 256, ...request };
  return awsOffers(all, catalog);
}

function places({ offers }: OfferSet, count: number): readonly (readonly [string, number | null])[] {
  return offers.slice(0, count).map((one) => [one.zone ?? one.region, one.priceUsdPerHour]);
}

describe("offers on demand", () => {
  it("are one for each region: the United States first, each part by price, as 0.14.1 tries them", () => {
    const set = ask({ accelerators: { T4: 1 } });
    expect(set.offers.every((one) => one.zone === null && one.instanceType === "g4dn.xlarge")).toBe(true);
    expect(set.offers).toHaveLength(19);
    expect(places(set, 6)).toEqual([
      ["us-east-1", 0.526],
      ["us-east-2", 0.526],
      ["us-west-2", 0.526],
      ["us-west-1", 0.631],
      ["eu-north-1", 0.558],
      ["ap-south-1", 0.579],
    ]);
    expect(set.alternatives).toEqual(["g4dn.xlarge", "g4dn.2xlarge", "g4dn.4xlarge", "g4dn.8xlarge", "g4dn.16xlarge"]);
  });

  it("tell what a node is made of, where its zones are and how old the price is", () => {
    expect(ask({ accelerators: { L4: 0.5 } }).offers).toEqual([
      {
        cloud: "aws",
        region: "us-east-1",
        zone: null,
        instanceType: "g6f.4xlarge",
        quotaFamily: "G and VT",
        resources: { cpus: 16, memoryGib: 64, accelerators: { L4: 0.5 } },
        useSpot: false,
        priceUsdPerHour: 0.95,
        pricedAt: "2026-07-20",
        zones: expect.arrayContaining(["us-east-1a"]),
        arch: "x86_64",
        acceleratorMemoryGib: 11_444 / 1024,
        localDiskGb: 450,
      },
    ]);
  });

  it("are in the zone that was asked for", () => {
    const set = ask({ cpus: { count: 8, orMore: false }, zone: "us-west-2b" });
    expect(set.offers.map((one) => [one.region, one.zone, one.zones])).toEqual([
      ["us-west-2", "us-west-2b", undefined],
    ]);
  });

  it("name the regions that were left out, and why", () => {
    const { rejected } = ask({ accelerators: { L4: 0.5 } });
    expect(rejected).toContainEqual({ what: "g6f.4xlarge in us-west-2", reason: "price unknown" });
    expect(rejected).toContainEqual({
      what: "g6f.4xlarge in af-south-1",
      reason: "the region does not have the type",
    });
  });
});

describe("spot offers", () => {
  it("say the day of spot prices, which are older in the bundled catalog", () => {
    expect(ask({ accelerators: { A100: 8 }, useSpot: true }).offers[0]?.pricedAt).toBe("2025-04-24");
    expect(ask({ region: "eu-west-1" }).offers[0]?.pricedAt).toBe("2025-04-24");
  });

  it("are one for each zone, region by region", () => {
    const set = ask({ accelerators: { A100: 8 }, useSpot: true });
    expect(set.offers).toHaveLength(29);
    expect(places(set, 6)).toEqual([
      ["us-east-1b", 2.4655],
      ["us-east-1a", 7.8799],
      ["us-east-1d", 8.1203],
      ["us-east-1c", 8.1915],
      ["us-east-2a", 6.0374],
      ["us-east-2b", 6.0965],
    ]);
  });
});

describe("without the account's names for zones", () => {
  it("a zone by its name is taken at the price of its region", () => {
    const raw = openCatalogs(`${home}-none`).find("aws");
    if (raw === undefined) throw new Error("no catalog");
    const base = { numNodes: 1, accelerators: { T4: 1 }, ports: [], diskGib: 256, zone: "us-west-2b" };
    const brief = (useSpot: boolean, rest = {}): unknown =>
      awsOffers({ ...base, useSpot, ...rest }, raw).offers.map((one) => [
        one.region,
        one.zone,
        one.priceUsdPerHour,
        one.zones,
      ]);
    expect(brief(false)).toEqual([["us-west-2", "us-west-2b", 0.526, undefined]]);
    expect(brief(true)).toEqual([["us-west-2", "us-west-2b", 0.1785, undefined]]);
    expect(brief(false, { region: "us-east-1" })).toEqual([]);
    expect(brief(false, { zone: "usw2-az1" })).toEqual([["us-west-2", "usw2-az1", 0.526, undefined]]);
  });
});

it.each([
  ["m6i.large", "Standard (A, C, D, H, I, M, R, T, Z)"],
  ["im4gn.xlarge", "Standard (A, C, D, H, I, M, R, T, Z)"],
  ["gr6.4xlarge", "G and VT"],
  ["p6-b200.48xlarge", "P"],
  ["u7i-12tb.224xlarge", "High memory"],
  ["hpc7a.96xlarge", "HPC"],
  ["mac2.metal", undefined],
])("the quota of %s is that of %s", (type, family) => {
  expect(quotaFamilyOf(type)).toBe(family);
});

describe("a request that nothing fulfils", () => {
  it.each([
    [{ accelerators: { A100: 1 } }, "A100:1", "no instance type has this accelerator in this count"],
    [{ accelerators: { T4: 1 }, cpus: { count: 128, orMore: true } }, "T4:1", "no instance type has 128+ vCPUs"],
    [{ accelerators: { H100: 8 }, region: "eu-west-3" }, "H100:8", "not offered in eu-west-3"],
    [{ accelerators: { A100: 8 }, maxUsdPerHour: 5 }, "A100:8", "every price is more than max_hourly_cost ($5/hr)"],
    [{ instanceType: "m6i.3xlarge" }, "m6i.3xlarge", "no instance type has this name"],
    [{ instanceType: "p5e.48xlarge", region: "us-west-2" }, "p5e.48xlarge", "the price in us-west-2 is unknown"],
    [
      { cpus: { count: 4, orMore: true }, memory: { amount: 999, orMore: true, perCpu: true } },
      "default instance types",
      "no instance type has 999x GiB of memory",
    ],
  ] as const)("%j says why", (request, what, reason) => {
    const set = ask(request);
    expect(set.offers).toEqual([]);
    expect(set.rejected).toEqual([{ what, reason }]);
  });
});
