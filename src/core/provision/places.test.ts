import { describe, expect, test } from "vitest";
import {
  CloudAccessError,
  CloudUserIdentityError,
  InvalidValueError,
  NoCapacityError,
  QuotaExceededError,
  RegionUnusableError,
} from "../../shared/errors.ts";
import type { Offer } from "../ports/cloud.ts";
import { blockOf, isBlockedBy, scopeOf, toPlaces, whatBlocks, type Block } from "./places.ts";

const offer: Offer = {
  cloud: "aws",
  region: "east",
  zone: "east-a",
  instanceType: "p5.48xlarge",
  quotaFamily: "P",
  resources: { cpus: 192, memoryGib: 2048, accelerators: { H100: 8 } },
  useSpot: false,
  priceUsdPerHour: 55,
};

test.each([
  [new NoCapacityError("x"), "zone"],
  [new QuotaExceededError("x"), "quota"],
  [new RegionUnusableError("x"), "region"],
  [new CloudAccessError("x"), "cloud"],
  [new CloudUserIdentityError("x"), "cloud"],
  [new InvalidValueError("x"), "request"],
] as const)("%s is about %s", (error, scope) => {
  expect(scopeOf(error)).toBe(scope);
});

describe("what a refusal rules out", () => {
  const elsewhere: Readonly<Record<string, Partial<Offer>>> = {
    "the same place": {},
    "another zone": { zone: "east-b" },
    "another type of the family": { instanceType: "p5e.48xlarge" },
    "another family": { instanceType: "g6.xlarge", quotaFamily: "G" },
    "the spot market": { useSpot: true },
    "another region": { region: "west", zone: "west-a" },
    "another cloud": { cloud: "gcp", region: "east" },
  };
  test.each([
    ["zone", ["the same place"]],
    ["quota", ["the same place", "another zone", "another type of the family"]],
    ["region", ["the same place", "another zone", "another type of the family", "another family", "the spot market"]],
    [
      "cloud",
      [
        "the same place",
        "another zone",
        "another type of the family",
        "another family",
        "the spot market",
        "another region",
      ],
    ],
    ["request", Object.keys(elsewhere)],
  ] as const)("%s", (scope, ruledOut) => {
    const block = blockOf(offer, scope);
    const blocked = Object.entries(elsewhere).filter(([, change]) => isBlockedBy({ ...offer, ...change }, block));
    expect(blocked.map(([name]) => name)).toEqual(ruledOut);
  });

  test("a quota without a family is one of the type", () => {
    const { quotaFamily: _, ...plain } = offer;
    const block = blockOf(plain, "quota");
    expect(isBlockedBy({ ...plain, zone: "east-b" }, block)).toBe(true);
    expect(isBlockedBy({ ...plain, instanceType: "p4d.24xlarge" }, block)).toBe(false);
  });
});

describe("a part of what clouds offer", () => {
  const spot: Offer = {
    cloud: "aws",
    region: "us-east-1",
    zone: "us-east-1a",
    instanceType: "g4dn.xlarge",
    resources: { cpus: 4, memoryGib: 16, accelerators: { T4: 1 } },
    useSpot: true,
    priceUsdPerHour: 0.2,
  };

  test.each<[string, Block, boolean]>([
    ["nothing named", {}, true],
    ["the cloud", { cloud: "aws" }, true],
    ["another region", { cloud: "aws", region: "us-east-2" }, false],
    ["the zone", { zone: "us-east-1a" }, true],
    ["the type on demand", { instanceType: "g4dn.xlarge", useSpot: false }, false],
    ["the accelerator", { accelerators: { T4: 1 } }, true],
    ["another count of it", { accelerators: { T4: 4 } }, false],
    ["no accelerator", { accelerators: {} }, false],
  ])("by %s", (_, block, isBlocked) => {
    expect(whatBlocks(spot, [{ block, reason: "full" }])?.reason).toBe(isBlocked ? "full" : undefined);
  });

  test("that is a zone leaves an offer of the whole region", () => {
    expect(whatBlocks({ ...spot, zone: null }, [{ block: { zone: "us-east-1a" }, reason: "full" }])).toBeUndefined();
  });
});

test("an offer of a region is tried zone by zone", () => {
  const ranked = { candidate: 0, displayName: "AWS", offer: { ...offer, zone: null, zones: ["east-b", "east-a"] } };
  expect(toPlaces(ranked).map((place) => [place.offer.zone, place.offer.zones])).toEqual([
    ["east-b", undefined],
    ["east-a", undefined],
  ]);
  expect(toPlaces({ ...ranked, offer }).map((place) => place.offer)).toEqual([offer]);
});
